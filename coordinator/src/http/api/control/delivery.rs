//! `/api/delivery`: which share of the stores gets snapshots, and the switch that sends all devices to the normal sync.

use std::sync::Arc;

use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    catalog::{Delivery, Share, Shared},
    http::{
        api::{
            extract::{Asked, Body, Nothing},
            state::Api,
        },
        json::Json,
        problem::{Problem, ProblemBody},
        responses::{Failures, NotAdmin, RateLimited},
    },
};

/// Which share of the stores gets snapshots, in per cent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Shares {
    /// In any form; 0 is the switch: every device syncs as without Seedbed.
    all: f64,
    /// As files.
    file: f64,
    /// As compact files.
    compact: f64,
    /// As streams.
    stream: f64,
    /// Since when each of them is as it is.
    since: Since,
}

/// Since when each share is as it is; null for always.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Since {
    all: Option<DateTime<Utc>>,
    file: Option<DateTime<Utc>>,
    compact: Option<DateTime<Utc>>,
    stream: Option<DateTime<Utc>>,
}

impl From<Delivery> for Shares {
    fn from(delivery: Delivery) -> Self {
        let [all, file, compact, stream] =
            Shared::EACH.map(|shared| delivery.share(shared).percent());
        let since = Shared::EACH.map(|shared| delivery.since(shared));
        Self {
            all,
            file,
            compact,
            stream,
            since: Since {
                all: since[0],
                file: since[1],
                compact: since[2],
                stream: since[3],
            },
        }
    }
}

/// Which share of the stores gets snapshots
#[utoipa::path(
    get,
    path = "/api/delivery",
    tag = "delivery",
    security(("admin" = [])),
    responses(
        (status = 200, body = Shares),
        (status = 400, description = "The request is malformed", body = ProblemBody),
        NotAdmin,
        RateLimited,
        Failures,
    ),
)]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    _: Asked<Nothing>,
) -> Result<Json<Shares>, Problem> {
    Ok(Json(api.catalog.delivery().await?.into()))
}

/// A share to set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SetShare {
    /// What the share is of.
    #[schema(inline)]
    what: Shared,
    /// Per cent of the stores, to two places; 0 for none. Which these are depends on their ids alone, and a larger share has
    /// those of a smaller one.
    #[schema(value_type = f64, minimum = 0, maximum = 100)]
    share: Option<f64>,
}

impl Default for SetShare {
    fn default() -> Self {
        Self {
            what: Shared::All,
            share: None,
        }
    }
}

/// Set which share of the stores gets snapshots
///
/// Every server follows within a second or two. What devices have begun to download from a bucket, they finish.
#[utoipa::path(
    post,
    path = "/api/delivery",
    tag = "delivery",
    request_body = SetShare,
    security(("admin" = [])),
    responses(
        (status = 200, description = "All shares, as they are now", body = Shares),
        (status = 400, description = "The request is malformed", body = ProblemBody),
        NotAdmin,
        (status = 413, description = "The body is too large", body = ProblemBody),
        (status = 415, description = "The body is not JSON", body = ProblemBody),
        RateLimited,
        Failures,
    ),
)]
pub(super) async fn set(
    State(api): State<Arc<Api>>,
    Body(asked): Body<SetShare>,
) -> Result<Json<Shares>, Problem> {
    let share = asked.share.map(|share| share.to_string());
    let share = share.ok_or_else(|| Problem::invalid("share is missing"))?;
    let share: Share = share
        .parse()
        .map_err(|rule| Problem::invalid(format!("share: {rule}")))?;
    api.catalog.set_share(asked.what, share).await?;
    Ok(Json(api.catalog.delivery().await?.into()))
}
