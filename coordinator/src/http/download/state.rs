//! State of the downloads: how tokens are checked, which snapshot is handed out, and who signs its URL.

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    http::{HeaderMap, header},
};
use chrono::{DateTime, Utc};
use futures::Stream;
use seedbed_protocol::{
    StoreId,
    error::chain,
    manifest::{Manifest, Rendition},
    objects::StorageError,
    snapshots::{SealedError, SnapshotRepository, SnapshotsConfig},
};
use tokio::time::timeout;
use url::Url;

use super::{
    content::Contents,
    delivery::{Deliveries, Withheld},
    handed::Handed,
    signed_url::Signature,
    signer::SharedSigner,
};
use crate::{
    catalog::{Catalog, SnapshotRecord},
    http::{
        auth::{Clients, KeyError},
        problem::Problem,
    },
    runs::{Asked, Demand},
    settings::{DownloadConfig, ServeConfig},
};

/// How long a start waits for the first signature: some credentials are asked for over the network.
const SIGN_TIMEOUT: Duration = Duration::from_secs(5);

/// Why snapshots cannot be handed out.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// Clients' tokens cannot be checked.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// URLs of the object storage cannot be signed.
    #[error(transparent)]
    Snapshots(#[from] StorageError),
}

/// Returns whether what was true at `verified_at` is longer ago than `most`.
pub(crate) fn is_older(verified_at: DateTime<Utc>, most: Duration) -> bool {
    (Utc::now() - verified_at).to_std().unwrap_or_default() > most
}

/// What downloads are answered from.
pub(crate) struct Downloads {
    pub(super) catalog: Catalog,
    pub(super) clients: Arc<Clients>,
    /// As clients reach it.
    snapshots: SnapshotRepository,
    /// As this server reaches it.
    manifests: SnapshotRepository,
    /// For snapshots in a directory. Object storage signs its URLs itself.
    signer: Option<SharedSigner>,
    public_url: Option<Url>,
    /// Whether this server itself speaks TLS.
    by_tls: bool,
    behind_proxy: bool,
    pub(super) lifetime: Duration,
    /// Which stores get snapshots now.
    pub(crate) deliveries: Arc<Deliveries>,
    pub(super) max_age: Option<Duration>,
    contents: Contents,
    /// Remembers which stores were asked for.
    pub(super) asked: Asked,
    /// Counts what clients are told to download.
    pub(super) handed: Handed,
    /// `None` when nothing is seeded on demand.
    pub(super) demand: Option<Arc<Demand>>,
}

impl Downloads {
    pub(crate) fn new(
        download: &DownloadConfig,
        serve: &ServeConfig,
        place: &SnapshotsConfig,
        catalog: Catalog,
        clients: Arc<Clients>,
        snapshots: SnapshotRepository,
        demand: Option<Arc<Demand>>,
    ) -> Result<Self, DownloadError> {
        let is_directory = snapshots.local_path("").is_some();
        let signer = SharedSigner::new(catalog.clone(), download.signing_secret.as_ref())?;
        let manifests = snapshots.clone();
        // A signature covers the host: it has to be the one that clients use.
        let snapshots = match &download.store_endpoint {
            Some(endpoint) => SnapshotRepository::open_at(place, endpoint)?,
            None => snapshots,
        };
        Ok(Self {
            asked: Asked::new(catalog.clone()),
            handed: Handed::new(catalog.clone()),
            deliveries: Arc::new(Deliveries::new(catalog.clone())),
            catalog,
            clients,
            snapshots,
            manifests,
            signer: is_directory.then_some(signer),
            public_url: serve.public_url.clone(),
            by_tls: serve.tls_certificate_file.is_some(),
            behind_proxy: serve.behind_proxy,
            lifetime: download.url_lifetime,
            max_age: download.max_age,
            contents: Contents::new(download.inline_kib),
            demand,
        })
    }

    /// Says in the log if no URL can be signed: every download would fail, and nothing but a setting changes that.
    pub(crate) async fn tell_unless_signing(&self) {
        if self.signer.is_none()
            && self.clients.are_known()
            && let Ok(Err(error)) =
                timeout(SIGN_TIMEOUT, self.snapshots.sign("check", self.lifetime)).await
            && !error.is_transient()
        {
            tracing::error!("no snapshot can be handed out: {}", chain(&error));
        }
    }

    /// The file of `key`, if `signature` allows it now.
    pub(super) async fn file(&self, key: &str, signature: &Signature) -> Result<PathBuf, Problem> {
        let nothing = || Problem::not_found("unknown_path", "snapshots are not served from here");
        let signer = self.signer.as_ref().ok_or_else(nothing)?;
        signer.get().await?.check(key, signature, Utc::now())?;
        if self.deliveries.is_off() {
            return Err(Withheld::SwitchedOff.refusal());
        }
        self.snapshots.local_path(key).ok_or_else(nothing)
    }

    /// Why `snapshot` is not handed out, if so.
    pub(super) fn refusal(&self, snapshot: Option<&SnapshotRecord>) -> Option<Problem> {
        let Some(snapshot) = snapshot else {
            return Some(Problem::not_found(
                "no_snapshot",
                "there is no snapshot of this store; let the app do its initial sync",
            ));
        };
        let too_old = |most: &Duration| is_older(snapshot.verified_at, *most);
        self.max_age.filter(too_old).map(|most| {
            Problem::not_found(
                "snapshot_too_old",
                format!(
                    "the newest snapshot of this store is older than {}; let the app do its initial sync",
                    humantime::format_duration(most)
                ),
            )
        })
    }

    /// The key of `rendition`, in hex, if it is sealed. It is read from the manifest in object storage and kept nowhere.
    pub(super) async fn key_of(
        &self,
        manifest: &Manifest,
        rendition: &Rendition,
    ) -> Result<Option<String>, Problem> {
        if !rendition.kind().is_sealed() {
            return Ok(None);
        }
        let key = self.manifests.key_of(manifest.all_renditions()).await;
        let key = key.map_err(|error| match &error {
            SealedError::Storage(source) => {
                Problem::failed("the object storage", source, source.is_transient())
            }
            SealedError::Sealing(source) => {
                Problem::failed("the key of the snapshot", source, false)
            }
        })?;
        Ok(Some(key.expose_hex()))
    }

    /// The snapshot itself, if it is sent along to a client that takes up to `wanted` bytes at once.
    pub(super) async fn content_of(
        &self,
        rendition: &Rendition,
        wanted: u64,
    ) -> Option<impl Stream<Item = Result<Bytes, StorageError>> + Send + use<>> {
        self.contents.open(rendition, wanted, &self.manifests).await
    }

    pub(super) async fn sign(
        &self,
        key: &str,
        headers: &HeaderMap,
        expires: DateTime<Utc>,
    ) -> Result<Url, Problem> {
        if let Some(signer) = &self.signer {
            return Ok(signer.get().await?.sign(&self.base(headers)?, key, expires));
        }
        let failed = |error: StorageError| {
            Problem::failed("the object storage", &error, error.is_transient())
        };
        let url = self
            .snapshots
            .sign(key, self.lifetime)
            .await
            .map_err(failed)?;
        Ok(url.expect("what is no directory signs URLs"))
    }

    /// How clients authenticate themselves.
    pub(crate) fn clients(&self) -> &Clients {
        &self.clients
    }

    /// Remembers that a client asks for this store.
    pub(crate) fn note(&self, store_id: &StoreId) {
        self.asked.note(store_id);
    }

    /// This server as the client has reached it.
    pub(crate) fn base(&self, headers: &HeaderMap) -> Result<Url, Problem> {
        if let Some(url) = &self.public_url {
            return Ok(url.clone());
        }
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let by_tls =
            self.by_tls || self.behind_proxy && header("x-forwarded-proto") == Some("https");
        let scheme = if by_tls { "https" } else { "http" };
        let host = header(header::HOST.as_str()).unwrap_or_default();
        let url = Url::parse(&format!("{scheme}://{host}/")).ok();
        url.filter(|url| url.path() == "/" && url.username().is_empty() && url.query().is_none())
            .ok_or_else(|| Problem::invalid("the Host header does not name this server"))
    }
}
