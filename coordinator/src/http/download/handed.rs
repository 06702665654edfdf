//! Counts what clients are told to download, without a write for each request.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use seedbed_protocol::manifest::{Encoding, Form, Rendition};
use tracing::debug;

use crate::catalog::Catalog;

/// How long requests are collected for one write.
const COLLECT: Duration = Duration::from_secs(1);

/// Downloads and bytes that are not written yet, of each form and encoding.
type Waiting = HashMap<(Form, Encoding), (u64, u64)>;

/// What was handed out. A kill loses a second of it.
pub(super) struct Handed {
    catalog: Catalog,
    waiting: Arc<Mutex<Waiting>>,
}

impl Handed {
    /// Records in `catalog`.
    pub(super) fn new(catalog: Catalog) -> Self {
        let waiting = Arc::default();
        Self { catalog, waiting }
    }

    /// Counts that a client is told to download `rendition`. Returns at once; has to be called on a runtime.
    pub(super) fn note(&self, rendition: &Rendition) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = waiting.is_empty();
        let kind = (rendition.form, rendition.encoding);
        let (downloads, bytes) = waiting.entry(kind).or_default();
        *downloads += 1;
        *bytes += rendition.bytes;
        if is_first {
            tokio::spawn(write(self.catalog.clone(), self.waiting.clone()));
        }
    }
}

async fn write(catalog: Catalog, waiting: Arc<Mutex<Waiting>>) {
    tokio::time::sleep(COLLECT).await;
    let counted = {
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *waiting)
    };
    for (kind, (downloads, bytes)) in counted {
        if let Err(error) = catalog.add_handed_out(kind, downloads, bytes).await {
            // Figures for people, and no more than that.
            debug!("what clients download is not recorded: {error}");
        }
    }
}
