//! Small snapshots that are sent along with the answer of `GET /database`: a device waits for one request in place of two, and for
//! no connection to the object storage.

use std::sync::Arc;

use axum::body::Bytes;
use futures::{Stream, StreamExt, stream};
use seedbed_protocol::{
    error::chain,
    manifest::Rendition,
    objects::{ObjectStorage, StorageError},
};
use tokio::sync::Semaphore;

/// How many are sent at a time; who comes in addition gets the URL alone. Each takes up to half a MiB of memory.
const AT_A_TIME: usize = 256;

/// What may be sent along, and how many more.
pub(super) struct Contents {
    most: u64,
    places: Arc<Semaphore>,
}

impl Contents {
    /// For files of up to `kib` KiB.
    pub(super) fn new(kib: u32) -> Self {
        let places = Arc::new(Semaphore::new(AT_A_TIME));
        let most = u64::from(kib) * 1024;
        Self { most, places }
    }

    /// Returns the bytes of `rendition`, if a client that takes up to `wanted` of them at once gets them. Where they cannot be read there
    /// is still the URL.
    pub(super) async fn open(
        &self,
        rendition: &Rendition,
        wanted: u64,
        objects: &ObjectStorage,
    ) -> Option<impl Stream<Item = Result<Bytes, StorageError>> + Send + use<>> {
        if rendition.bytes > wanted.min(self.most) {
            return None;
        }
        let place = self.places.clone().try_acquire_owned().ok()?;
        let mut rest = objects.pieces(&rendition.key, rendition.bytes);
        let first = match rest.next().await? {
            Ok(first) => first,
            Err(error) => {
                tracing::warn!("a snapshot is not sent along: {}", chain(&error));
                return None;
            }
        };
        let all = stream::iter([Ok(first)]).chain(rest);
        Some(all.inspect(move |_| {
            let _until_its_end = &place;
        }))
    }
}
