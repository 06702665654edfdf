//! `GET /database`: where a client downloads its store's snapshot, as in PowerSync's guide to pre-seeded databases
//! (<https://docs.powersync.com/tutorials/client/performance/pre-seeded-database>).

use std::sync::Arc;

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use chrono::Utc;
use seedbed_protocol::{
    StoreId,
    digest::Hashed,
    manifest::{Encoding, Rendition},
};
use tracing::Span;

use super::{
    answer::answer,
    choice::Wanted,
    state::Downloads,
    types::{Database, DatabaseQuery},
};
use crate::{
    http::{
        auth::client_token,
        problem::{Problem, ProblemBody},
        responses::{Failures, RateLimited},
    },
    runs::{Answer, Demand},
};

/// Where to download the newest snapshot of a store
///
/// The caller's own JWT has to name the store.
#[utoipa::path(
    get,
    path = "/database",
    tag = "download",
    params(DatabaseQuery),
    security(("client" = []), ()),
    responses(
        (status = 200, description = "A URL of the snapshot, and what the snapshot is. As `application/vnd.seedbed.database` one line of that JSON, then the file", content(
            (Database = "application/json"),
            (String = "application/vnd.seedbed.database"),
        )),
        (status = 202, description = "There is no snapshot yet; one is being made. Retry when Retry-After says", body = ProblemBody),
        (status = 400, description = "The request is malformed", body = ProblemBody),
        (status = 401, description = "The token is missing, or is not accepted", body = ProblemBody),
        (status = 403, description = "The token is for another store, or downloads are disabled", body = ProblemBody),
        (status = 404, description = "There is no snapshot, or none that is young enough, or none in this form or encoding", body = ProblemBody),
        RateLimited,
        Failures,
    ),
)]
pub(super) async fn database(
    State(downloads): State<Arc<Downloads>>,
    query: Result<Query<DatabaseQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Query(query) = query?;
    let store_id = StoreId::new(query.store_id)
        .map_err(|error| Problem::invalid(format!("store_id: {error}")))?;
    let wanted = Wanted {
        form: query.form.into(),
        encodings: query.encoding,
        core: core_version(query.core)?,
    };
    downloads
        .clients
        .check(client_token(&headers), &store_id)
        .await?;
    Span::current().record("seedbed.store_id", tracing::field::display(&store_id));

    downloads.asked.note(&store_id);
    if let Some(withheld) = downloads.deliveries.withholds(&store_id, wanted.form) {
        return Err(withheld.refusal());
    }
    let snapshot = downloads.catalog.live_snapshot(&store_id).await?;
    if let Some(refused) = downloads.refusal(snapshot.as_ref()) {
        return Err(match &downloads.demand {
            Some(demand) => on_demand(demand, &store_id, refused).await?,
            None => refused,
        });
    }
    let record = snapshot.expect("one that is not there is refused");
    let snapshot = record.manifest;
    let rendition = wanted.choose(&snapshot)?;
    let unpacked = unpacked(rendition);
    let expires_at = Utc::now() + downloads.lifetime;
    let key = downloads.key_of(&snapshot, rendition).await?;
    let url = downloads.sign(&rendition.key, &headers, expires_at).await?;
    downloads.handed.note(rendition);
    let content = downloads.content_of(rendition, query.inline).await;
    let database = Database {
        store_id: store_id.to_string(),
        form: rendition.form,
        unpacked_bytes: unpacked.as_ref().map(|unpacked| unpacked.bytes),
        unpacked_sha256: unpacked.map(|unpacked| unpacked.sha256),
        finish: rendition.finish,
        service_endpoint: snapshot.powersync_endpoint.clone(),
        database_url: url.into(),
        expires_at,
        bytes: rendition.bytes,
        sha256: rendition.sha256.clone(),
        encoding: rendition.encoding,
        key,
        created_at: snapshot.created_at,
        verified_at: record.verified_at,
        checkpoint: snapshot.checkpoint.last_op_id.to_string(),
        generation: snapshot.checkpoint.generation().map(ToOwned::to_owned),
        max_age: downloads.max_age.map(|age| age.as_secs()),
        schema_version: snapshot.internal_schema_version,
        schema_fingerprint: snapshot.schema_fingerprint.clone(),
        core_version: snapshot.core_version.clone(),
    };
    Ok(answer(&database, content))
}

/// Requests that the store is seeded, and returns the answer for the client.
async fn on_demand(
    demand: &Demand,
    store_id: &StoreId,
    refused: Problem,
) -> Result<Problem, Problem> {
    Ok(match demand.request(store_id).await? {
        Answer::Seeding { ask_again } => Problem::new(
            StatusCode::ACCEPTED,
            "being_seeded",
            "a snapshot of this store is being made; ask again later, or let the app do its initial sync",
        )
        .retry_after(ask_again),
        Answer::TooSoon { wait } => refused.retry_after(wait),
        Answer::TooMany => Problem::unavailable("too many stores were asked for; try again later"),
    })
}

/// What the rendition is uncompressed. Manifests of older versions say so of plain files alone.
fn unpacked(rendition: &Rendition) -> Option<Hashed> {
    let plain = || Hashed {
        bytes: rendition.bytes,
        sha256: rendition.sha256.clone(),
    };
    let is_plain = rendition.encoding == Encoding::Identity;
    rendition.unpacked.clone().or_else(|| is_plain.then(plain))
}

fn core_version(core: Option<String>) -> Result<Option<String>, Problem> {
    match core {
        Some(core) if core.is_empty() || core.len() > 64 => Err(Problem::invalid(
            "core: say the version of the PowerSync core extension, such as 0.5.3",
        )),
        core => Ok(core),
    }
}
