//! `GET /database`: where a client downloads its store's snapshot, as PowerSync's guide for pre-seeded databases has it
//! (<https://docs.powersync.com/tutorials/client/performance/pre-seeded-database>).

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode, header},
};
use chrono::{DateTime, Utc};
use seedbed_protocol::{
    StoreId,
    message::{Encoding, Manifest, Rendition},
    snapshots::{SnapshotStore, SnapshotStoreError},
};
use serde::{Deserialize, Serialize};
use tracing::Span;
use url::Url;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::signed_url::{Signature, UrlSigner};
use crate::http::server::routes::App;
use crate::http::{
    auth::admin::bearer,
    problem::{Problem, ProblemBody},
    server::routes::HttpError,
};
use crate::{
    catalog::SnapshotRecord,
    runs::trigger::demand::{Answer, Demand},
    settings::root::Settings,
};

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(database))
}

/// What is handed out, and for how long.
pub(crate) struct Downloads {
    snapshots: SnapshotStore,
    /// For snapshots in a directory, which nobody else signs URLs for.
    signer: Option<UrlSigner>,
    public_url: Option<Url>,
    behind_proxy: bool,
    lifetime: Duration,
    max_age: Option<Duration>,
    demand: Option<Arc<Demand>>,
}

impl Downloads {
    pub(crate) fn new(
        settings: &Settings,
        snapshots: SnapshotStore,
        demand: Option<Arc<Demand>>,
    ) -> Result<Self, HttpError> {
        let download = &settings.download;
        let is_directory = snapshots.local_path("").is_some();
        let signer = UrlSigner::new(download.signing_secret.as_ref())?;
        // A signature covers the host: it has to be the one that clients use.
        let snapshots = match &download.store_endpoint {
            Some(endpoint) => SnapshotStore::open_at(&settings.snapshots, endpoint)?,
            None => snapshots,
        };
        Ok(Self {
            snapshots,
            signer: is_directory.then_some(signer),
            public_url: settings.serve.public_url.clone(),
            behind_proxy: settings.serve.behind_proxy,
            lifetime: download.url_lifetime,
            max_age: download.max_age,
            demand,
        })
    }

    /// The file of `key`, if `signature` allows it now.
    pub(crate) fn file(
        &self,
        key: &str,
        signature: &Signature,
    ) -> Result<std::path::PathBuf, Problem> {
        let nothing = || Problem::not_found("unknown_path", "snapshots are not served from here");
        let signer = self.signer.as_ref().ok_or_else(nothing)?;
        signer.check(key, signature, Utc::now())?;
        self.snapshots.local_path(key).ok_or_else(nothing)
    }

    /// Why `snapshot` is not handed out, if so.
    fn refusal(&self, snapshot: Option<&SnapshotRecord>) -> Option<Problem> {
        let Some(snapshot) = snapshot else {
            return Some(Problem::not_found(
                "no_snapshot",
                "there is no snapshot of this store; let the app do its initial sync",
            ));
        };
        let age = (Utc::now() - snapshot.verified_at)
            .to_std()
            .unwrap_or_default();
        self.max_age.filter(|most| age > *most).map(|most| {
            Problem::not_found(
                "snapshot_too_old",
                format!(
                    "the newest snapshot of this store is older than {}; let the app do its initial sync",
                    humantime::format_duration(most)
                ),
            )
        })
    }

    async fn sign(
        &self,
        key: &str,
        headers: &HeaderMap,
        expires: DateTime<Utc>,
    ) -> Result<Url, Problem> {
        if let Some(signer) = &self.signer {
            return Ok(signer.sign(&self.base(headers)?, key, expires));
        }
        let failed = |error: SnapshotStoreError| {
            Problem::behind("the object store", &error, error.is_transient())
        };
        let url = self
            .snapshots
            .sign(key, self.lifetime)
            .await
            .map_err(failed)?;
        Ok(url.expect("what is no directory signs URLs"))
    }

    /// This server as the client has reached it.
    fn base(&self, headers: &HeaderMap) -> Result<Url, Problem> {
        if let Some(url) = &self.public_url {
            return Ok(url.clone());
        }
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let by_tls = self.behind_proxy && header("x-forwarded-proto") == Some("https");
        let scheme = if by_tls { "https" } else { "http" };
        let host = header(header::HOST.as_str()).unwrap_or_default();
        let url = Url::parse(&format!("{scheme}://{host}/")).ok();
        url.filter(|url| url.path() == "/" && url.username().is_empty() && url.query().is_none())
            .ok_or_else(|| Problem::invalid("the Host header does not name this server"))
    }
}

/// Which snapshot a client asks for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DatabaseQuery {
    /// The store.
    #[param(max_length = 255, min_length = 1)]
    store_id: String,
    /// In which encoding: `identity`, `gzip` or `zstd`. By default the plain file if there is one.
    #[param(value_type = Option<Encodings>)]
    encoding: Option<Encoding>,
}

/// How a file is wrapped; the names are those of Content-Encoding.
#[derive(ToSchema)]
#[schema(as = Encoding, rename_all = "lowercase")]
#[expect(dead_code, reason = "only describes")]
pub(crate) enum Encodings {
    Identity,
    Gzip,
    Zstd,
}

/// Where a snapshot is, and what it is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Database {
    /// A URL that needs no token, until it expires.
    database_url: String,
    /// Until when the download has to have begun.
    expires_at: DateTime<Utc>,
    /// The size of the file as it is stored.
    bytes: u64,
    /// SHA-256, in hex, of the file as it is stored.
    sha256: String,
    /// How the file is wrapped. HTTP libraries may unwrap it by themselves.
    #[schema(value_type = Encodings)]
    encoding: Encoding,
    /// When the snapshot was made.
    created_at: DateTime<Utc>,
    /// When PowerSync was last known to hold exactly what is in it.
    verified_at: DateTime<Utc>,
    /// PowerSync's newest op in it.
    checkpoint: String,
    /// The version of PowerSync's internal tables in it.
    schema_version: u32,
    /// SHA-256, in hex, of the app schema that it was made with.
    schema_fingerprint: String,
    /// The version of the PowerSync core extension that wrote it.
    core_version: String,
}

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
        (status = 200, description = "Where it is", body = Database),
        (status = 202, description = "There is none yet; it is being made. Come back after Retry-After seconds", body = ProblemBody),
        (status = 400, description = "The request makes no sense", body = ProblemBody),
        (status = 401, description = "No token, or one that is not accepted", body = ProblemBody),
        (status = 403, description = "The token is for another store", body = ProblemBody),
        (status = 404, description = "There is no snapshot, or none that is young enough or encoded so", body = ProblemBody),
        (status = 429, description = "Too many requests", body = ProblemBody),
        (status = 500, description = "Something failed", body = ProblemBody),
        (status = 503, description = "Something is away", body = ProblemBody),
    ),
)]
async fn database(
    State(app): State<Arc<App>>,
    query: Result<Query<DatabaseQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Json<Database>, Problem> {
    let Query(query) = query.map_err(|e| Problem::invalid(e.body_text()))?;
    let store_id = StoreId::new(query.store_id)
        .map_err(|error| Problem::invalid(format!("store_id: {error}")))?;
    app.clients.check(bearer(&headers), &store_id).await?;
    Span::current().record("seedbed.store_id", tracing::field::display(&store_id));

    let downloads = &app.downloads;
    let snapshot = app.catalog.live_snapshot(&store_id).await?;
    if let Some(refused) = downloads.refusal(snapshot.as_ref()) {
        return Err(match &downloads.demand {
            Some(demand) => on_demand(demand, &store_id, refused).await?,
            None => refused,
        });
    }
    let record = snapshot.expect("one that is not there is refused");
    let snapshot = record.manifest;
    let rendition = rendition(&snapshot, query.encoding)?;
    let expires_at = Utc::now() + downloads.lifetime;
    let url = downloads.sign(&rendition.key, &headers, expires_at).await?;
    Ok(Json(Database {
        database_url: url.into(),
        expires_at,
        bytes: rendition.bytes,
        sha256: rendition.sha256.clone(),
        encoding: rendition.encoding,
        created_at: snapshot.created_at,
        verified_at: record.verified_at,
        checkpoint: snapshot.checkpoint.last_op_id.to_string(),
        schema_version: snapshot.internal_schema_version,
        schema_fingerprint: snapshot.schema_fingerprint.clone(),
        core_version: snapshot.core_version.clone(),
    }))
}

/// Has the store seeded, unless that was tried a moment ago.
async fn on_demand(
    demand: &Demand,
    store_id: &StoreId,
    refused: Problem,
) -> Result<Problem, Problem> {
    Ok(match demand.want(store_id).await? {
        Answer::Seeding { look_again } => Problem::new(
            StatusCode::ACCEPTED,
            "being_seeded",
            "a snapshot of this store is being made; come back for it, or let the app do its initial sync",
        )
        .retry_after(look_again),
        Answer::TooSoon { wait } => refused.retry_after(wait),
        Answer::TooMany => Problem::unavailable("too many stores are waited for; come back later"),
    })
}

fn rendition(snapshot: &Manifest, encoding: Option<Encoding>) -> Result<&Rendition, Problem> {
    let find = |wanted: Encoding| {
        let mut renditions = snapshot.renditions.iter();
        renditions.find(|rendition| rendition.encoding == wanted)
    };
    let found = match encoding {
        Some(wanted) => find(wanted),
        None => find(Encoding::Identity).or(snapshot.renditions.first()),
    };
    found.ok_or_else(|| {
        Problem::not_found(
            "no_such_encoding",
            "the snapshot does not come in this encoding (snapshots.renditions); ask for another, or for none",
        )
    })
}
