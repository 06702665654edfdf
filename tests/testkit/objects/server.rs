//! An object store as tests see it, and what its kinds have in common.

use std::{any::Any, path::PathBuf};

use axum::Router;
use seedbed_protocol::{
    manifest::{Encoding, RenditionKind},
    objects::StorageError,
    snapshots::{SealingKeys, SnapshotRepository, SnapshotsConfig, UnreadableRowsPolicy},
};
use tokio::task::JoinHandle;

use super::faults::{self, Faults};

/// The name of the bucket, or container, that a server has.
pub(super) const BUCKET: &str = "snapshots";

/// A running object store with one bucket; gone when this is dropped.
pub struct ObjectServer {
    /// `snapshots.url` for it.
    pub url: String,
    /// The environment variables with which a program reaches it and may do everything.
    pub variables: Vec<(String, String)>,
    /// What goes wrong between a program and the server.
    pub faults: Faults,
    /// The variables of a user who may read but not write, if the server has users.
    pub reader: Option<Vec<(String, String)>>,
    /// Where an S3 server keeps objects and the parts of uploads.
    pub data: Option<PathBuf>,
    public: String,
    accept: JoinHandle<()>,
    _keep: Box<dyn Any + Send + Sync>,
}

/// Where a server is: what differs from kind to kind.
pub(super) struct Address {
    /// `s3`, `az` or `gs`.
    pub(super) scheme: &'static str,
    /// With what the bucket's name follows upon.
    pub(super) endpoint: String,
    pub(super) variables: Vec<(String, String)>,
}

impl ObjectServer {
    /// Serves `router` behind faults, as the server that `address` makes of its endpoint.
    pub(super) async fn behind(
        router: Router,
        keep: impl Any + Send + Sync,
        address: impl FnOnce(String) -> Address,
    ) -> Self {
        let faults = Faults::default();
        let (port, accept) = serve(router, &faults).await;
        let Address {
            scheme,
            endpoint,
            variables,
        } = address(format!("http://127.0.0.1:{port}"));
        Self {
            url: format!("{scheme}://{BUCKET}/some/prefix"),
            variables,
            faults,
            reader: None,
            data: None,
            public: format!("{endpoint}/{BUCKET}/some/prefix"),
            accept,
            _keep: Box::new(keep),
        }
    }

    /// Opens its bucket, or what else `url` names on it, with these variables.
    ///
    /// # Errors
    /// What the snapshot store says.
    pub fn open(
        &self,
        url: &str,
        variables: &[(String, String)],
    ) -> Result<SnapshotRepository, StorageError> {
        let config = SnapshotsConfig {
            url: url.to_owned(),
            renditions: vec![RenditionKind::file(Encoding::Identity)],
            latest: false,
            unreadable_rows: UnreadableRowsPolicy::Warn,
            sealed: false,
            sealing_key: SealingKeys::default(),
        };
        SnapshotRepository::open_with(&config, variables.iter().cloned())
    }

    /// The address at which the object `key` is read without credentials.
    pub fn public_url(&self, key: &str) -> String {
        format!("{}/{key}", self.public)
    }

    /// [`Self::variables`] with one that is different.
    pub fn variables_with(&self, name: &str, value: &str) -> Vec<(String, String)> {
        let mut variables = self.variables.clone();
        variables.retain(|(present, _)| present != name);
        variables.push((name.to_owned(), value.to_owned()));
        variables
    }
}

impl Drop for ObjectServer {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

/// Serves `router` behind `faults` on a free port of loopback.
async fn serve(router: Router, faults: &Faults) -> (u16, JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await;
    let listener = listener.expect("loopback has a free port");
    let port = listener
        .local_addr()
        .expect("a bound socket has an address")
        .port();
    let router = router.layer(axum::middleware::from_fn_with_state(
        faults.clone(),
        faults::layer,
    ));
    let accept = tokio::spawn(async move {
        let _ = axum::serve(listener, router).await;
    });
    (port, accept)
}

/// `program` below the directory with the test servers.
///
/// # Panics
/// When it is not installed; says what to run.
pub(super) fn tool(found: Option<PathBuf>, name: &str) -> PathBuf {
    let found = found.filter(|path| path.exists());
    found.unwrap_or_else(|| panic!("{name} is missing: tests/run.sh stores installs it"))
}

pub(super) fn variables<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}
