//! Forgets a store, and allows it again.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::task::to_its_end;
use crate::{
    catalog::ForgottenSince,
    http::{
        api::{
            extract::{Asked, Body, Nothing, StorePath},
            state::Api,
        },
        json::Json,
        problem::{Problem, ProblemBody},
        responses::{Failures, NotAdmin, RateLimited},
    },
    runs::{self, StoreForgotten},
};

/// Forgotten stores in one answer.
const MOST_FORGOTTEN: u32 = 200;

/// That this is meant.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Forget {
    /// The store's id once more: nothing brings back what is removed.
    store_id: String,
}

/// Forget a store
///
/// Removes its snapshots in every form, its rows in the catalog and its reports, at once, and leaves it out of every list until it
/// is allowed again. What its jobs in flight still upload is removed, too.
#[utoipa::path(
    post,
    path = "/api/stores/{store_id}/forget",
    tag = "stores",
    params(("store_id" = String, Path, max_length = 255, min_length = 1)),
    request_body = Forget,
    security(("admin" = [])),
    responses(
        (status = 200, description = "What was removed, and what cannot be", body = StoreForgotten),
        (status = 400, description = "The request is malformed, or does not name the store again", body = ProblemBody),
        NotAdmin,
        (status = 413, description = "The body is too large", body = ProblemBody),
        (status = 415, description = "The body is not JSON", body = ProblemBody),
        RateLimited,
        Failures,
    ),
)]
pub(super) async fn forget(
    State(api): State<Arc<Api>>,
    StorePath(store_id): StorePath,
    Body(asked): Body<Forget>,
) -> Result<Json<StoreForgotten>, Problem> {
    if asked.store_id != store_id.as_str() {
        return Err(Problem::invalid(
            "nothing brings back what is removed; say the store's id again as storeId if that is meant",
        ));
    }
    let forgetting = async move {
        let (broker, watch) = (api.broker.as_ref(), api.late_uploads);
        runs::forget(&api.catalog, broker, &api.snapshots, &store_id, watch).await
    };
    Ok(Json(to_its_end(forgetting).await??))
}

/// Stores that no list has.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ForgottenStores {
    /// The newest first, at most 200.
    stores: Vec<ForgottenSince>,
}

/// Stores that are forgotten
///
/// And not allowed again: the newest 200.
#[utoipa::path(
    get,
    path = "/api/forgotten",
    tag = "stores",
    security(("admin" = [])),
    responses((status = 200, body = ForgottenStores), (status = 400, description = "The request is malformed", body = ProblemBody), NotAdmin, RateLimited, Failures),
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    _: Asked<Nothing>,
) -> Result<Json<ForgottenStores>, Problem> {
    let stores = api.catalog.forgotten_since(MOST_FORGOTTEN).await?;
    Ok(Json(ForgottenStores { stores }))
}

/// Whether something changed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Allowed {
    /// Whether the store was forgotten.
    allowed: bool,
}

/// Allow a forgotten store again
///
/// The next run that lists it seeds it.
#[utoipa::path(
    post,
    path = "/api/stores/{store_id}/allow",
    tag = "stores",
    params(("store_id" = String, Path, max_length = 255, min_length = 1)),
    security(("admin" = [])),
    responses(
        (status = 200, description = "Whether it was forgotten", body = Allowed),
        (status = 400, description = "The id is malformed", body = ProblemBody),
        NotAdmin,
        RateLimited,
        Failures,
    ),
)]
pub(super) async fn allow(
    State(api): State<Arc<Api>>,
    StorePath(store_id): StorePath,
) -> Result<Json<Allowed>, Problem> {
    let allowed = api.catalog.allow_store(&store_id).await?;
    Ok(Json(Allowed { allowed }))
}
