//! Refusals that many endpoints share, for the OpenAPI document.

use std::collections::BTreeMap;

use utoipa::{
    IntoResponses, ToSchema,
    openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder},
};

use super::problem::ProblemBody;

type Responses = BTreeMap<String, RefOr<Response>>;

/// 401 and 403 of what a role is needed for.
pub(super) struct NotAdmin;

impl IntoResponses for NotAdmin {
    fn responses() -> Responses {
        problems([
            ("401", "The token is missing, wrong, expired or revoked"),
            (
                "403",
                "The caller's role may not do this, the API is disabled, or the request comes from another site",
            ),
        ])
    }
}

/// 429, which every endpoint may answer.
pub(super) struct RateLimited;

impl IntoResponses for RateLimited {
    fn responses() -> Responses {
        problems([(
            "429",
            "Too many requests from this address; retry after Retry-After seconds",
        )])
    }
}

/// 500 and 503 of what needs the catalog, the broker or the object storage.
pub(super) struct Failures;

impl IntoResponses for Failures {
    fn responses() -> Responses {
        problems([
            ("500", "Internal error; the server's log has the reason"),
            (
                "503",
                "The catalog, the broker or the object storage is unavailable, or the request took too long; retry \
                 after Retry-After seconds",
            ),
        ])
    }
}

fn problems<const N: usize>(refusals: [(&str, &str); N]) -> Responses {
    let problem = || {
        let schema = Ref::from_schema_name(ProblemBody::name());
        ContentBuilder::new().schema(Some(schema)).build()
    };
    let response = |(status, description): (&str, &str)| {
        let response = ResponseBuilder::new()
            .description(description)
            .content("application/json", problem())
            .build();
        (status.to_owned(), RefOr::T(response))
    };
    refusals.into_iter().map(response).collect()
}
