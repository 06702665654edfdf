//! Writing a file and hashing what is written, at the same time and on threads that may block.

use std::{fs::File, io::Write, sync::mpsc as blocking, thread};

use bytes::Bytes;
use tokio::{sync::mpsc, task::JoinHandle};

use crate::digest::{Hashed, Hasher};

/// Chunks that may wait for either thread.
const WAITING_CHUNKS: usize = 8;

/// A file that is being written.
pub(super) struct HashingWriter {
    chunks: mpsc::Sender<Bytes>,
    written: JoinHandle<std::io::Result<Hashed>>,
}

impl HashingWriter {
    pub(super) fn start(file: File) -> Self {
        let (chunks, received) = mpsc::channel(WAITING_CHUNKS);
        Self {
            chunks,
            written: tokio::task::spawn_blocking(|| write(file, received)),
        }
    }

    /// Appends `chunk` as soon as there is room for it; false when writing has failed, as [`Self::finish`] tells.
    pub(super) async fn write(&self, chunk: Bytes) -> bool {
        self.chunks.send(chunk).await.is_ok()
    }

    /// What was written.
    ///
    /// # Errors
    /// The system's.
    pub(super) async fn finish(self) -> std::io::Result<Hashed> {
        drop(self.chunks);
        self.written.await.map_err(std::io::Error::other)?
    }
}

fn write(mut file: File, mut chunks: mpsc::Receiver<Bytes>) -> std::io::Result<Hashed> {
    let (to_hash, hashed) = blocking::sync_channel::<Bytes>(WAITING_CHUNKS);
    thread::scope(|threads| {
        let hashing = threads.spawn(move || {
            let mut hasher = Hasher::default();
            for chunk in hashed {
                hasher.update(&chunk);
            }
            hasher.finish()
        });
        while let Some(chunk) = chunks.blocking_recv() {
            file.write_all(&chunk)?;
            // It takes chunks until there are no more.
            let _ = to_hash.send(chunk);
        }
        drop(to_hash);
        hashing
            .join()
            .map_err(|_| std::io::Error::other("hashing panicked"))
    })
}
