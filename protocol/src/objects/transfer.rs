//! Sends an object in parts, with bounded memory, and aborts the upload when that fails.

use std::{io, sync::Arc};

use bytes::{BufMut, Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream::FuturesUnordered};
use object_store::{
    Attributes, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions,
    PutOptions, path::Path as Key,
};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    error::{StorageError, diagnose},
    place::Place,
    services::lacks::Lacks,
};
use crate::digest::{Hashed, Hasher};

/// The size of each part but the last, in bytes: S3 takes 10,000 of them, so that objects of 80 GB fit.
pub const PART_BYTES: usize = 8 << 20;

/// How much room an input is given at a time, in bytes. `flate2` fills all of it with zeros before it compresses into it, for
/// each piece that it is given: with the room of a whole part, that took longer than compressing.
const ROOM_BYTES: usize = 1 << 16;

/// Parts in flight at a time. One more is being read, so that an upload of any size needs 32 MiB.
const PARTS_IN_FLIGHT: usize = 3;

/// Tries to create an object when no answer comes, the first included.
const CREATE_TRIES: u32 = 3;

#[derive(Debug)]
pub(super) enum TransferError {
    /// The input cannot be read.
    Input(io::Error),
    /// The service failed.
    Service(object_store::Error),
    /// The caller was cancelled.
    Stopped,
}

impl From<object_store::Error> for TransferError {
    fn from(error: object_store::Error) -> Self {
        Self::Service(error)
    }
}

impl TransferError {
    /// Returns what to tell the caller who sends the object `key` to `place`.
    pub(super) fn at(self, place: &Place, key: &str) -> StorageError {
        match self {
            Self::Service(error) => place.failed("write", key, &error),
            Self::Input(error) => place.interrupted(key, error.to_string()),
            Self::Stopped => place.interrupted(key, "it was stopped".to_owned()),
        }
    }
}

/// Stores what `input` yields as the new object `key`. When this fails or is stopped, there is no such object, and the
/// service was asked to forget the parts that it has.
pub(super) async fn send(
    (objects, lacks): (&Arc<dyn ObjectStore>, &Lacks),
    key: &Key,
    attributes: Attributes,
    mut input: impl AsyncRead + Send + Unpin,
    stop: &CancellationToken,
) -> Result<Hashed, TransferError> {
    let first = read_part(&mut input).await?;
    if first.len() < PART_BYTES {
        create((objects, lacks), key, first.clone(), attributes).await?;
        let mut hasher = Hasher::default();
        hasher.update(&first);
        return Ok(hasher.finish());
    }
    let options = PutMultipartOptions::from(attributes);
    let mut upload = objects.put_multipart_opts(key, options).await?;
    let mut in_flight = PartsInFlight::new();
    let sending = send_parts(upload.as_mut(), first, &mut input, &mut in_flight);
    let sent = stop.run_until_cancelled(sending).await;
    // A part that arrives after the service was asked to forget them would stay.
    while in_flight.next().await.is_some() {}
    let finished = match sent {
        Some(Ok(sent)) => complete(objects, key, upload.as_mut(), sent.bytes)
            .await
            .map(|()| sent),
        Some(Err(error)) => Err(error),
        None => Err(TransferError::Stopped),
    };
    if finished.is_err()
        && let Err(error) = upload.abort().await
    {
        let (_, reason) = diagnose(&error);
        tracing::warn!(%key, "parts of a failed upload are left there, unless a lifecycle rule removes them: {reason}");
    }
    finished
}

/// Tasks, so that they make progress while the next part is read.
type PartsInFlight = FuturesUnordered<AbortOnDropHandle<object_store::Result<()>>>;

async fn send_parts(
    upload: &mut dyn MultipartUpload,
    first: Bytes,
    input: &mut (impl AsyncRead + Unpin),
    in_flight: &mut PartsInFlight,
) -> Result<Hashed, TransferError> {
    let mut hasher = Hasher::default();
    let mut part = first;
    while !part.is_empty() {
        hasher.update(&part);
        let sending = tokio::spawn(upload.put_part(part.into()));
        in_flight.push(AbortOnDropHandle::new(sending));
        while in_flight.len() >= PARTS_IN_FLIGHT
            && let Some(sent) = in_flight.try_next().await.map_err(joined)?
        {
            sent?;
        }
        part = read_part(input).await?;
    }
    while let Some(sent) = in_flight.try_next().await.map_err(joined)? {
        sent?;
    }
    Ok(hasher.finish())
}

fn joined(source: tokio::task::JoinError) -> TransferError {
    TransferError::Service(object_store::Error::JoinError { source })
}

async fn complete(
    objects: &Arc<dyn ObjectStore>,
    key: &Key,
    upload: &mut dyn MultipartUpload,
    bytes: u64,
) -> Result<(), TransferError> {
    let Err(error) = upload.complete().await else {
        return Ok(());
    };
    // If the answer was lost, the retry finds no upload any more. No other writer has this key.
    match objects.head(key).await {
        Ok(object) if object.size == bytes => Ok(()),
        _ => Err(error.into()),
    }
}

/// Creates the small object `key`, and never replaces another one. A service without conditional writes overwrites.
pub(super) async fn create(
    (objects, lacks): (&Arc<dyn ObjectStore>, &Lacks),
    key: &Key,
    data: Bytes,
    attributes: Attributes,
) -> object_store::Result<()> {
    use object_store::Error as E;
    let put = |mode| {
        let options = PutOptions {
            mode,
            attributes: attributes.clone(),
            ..PutOptions::default()
        };
        objects.put_opts(key, data.clone().into(), options)
    };
    let mut tries = 1;
    loop {
        // No other writer has this key, so that the condition only guards against what cannot happen.
        if lacks.conditions() {
            return put(PutMode::Overwrite).await.map(|_| ());
        }
        let error = match put(PutMode::Create).await {
            Ok(_) => return Ok(()),
            Err(error) if lacks.learn_conditions(&error) => continue,
            Err(error) => error,
        };
        if !matches!(error, E::AlreadyExists { .. } | E::Generic { .. }) {
            return Err(error);
        }
        // If the answer was lost, the retry finds the object of the first try.
        let present = async { objects.get(key).await?.bytes().await };
        match present.await {
            Ok(present) if present == data => return Ok(()),
            Err(E::NotFound { .. }) if tries < CREATE_TRIES => tries += 1,
            _ => return Err(error),
        }
    }
}

/// Reads the next part; shorter than [`PART_BYTES`] only at the end of `input`.
async fn read_part(input: &mut (impl AsyncRead + Unpin)) -> Result<Bytes, TransferError> {
    let mut part = BytesMut::with_capacity(PART_BYTES);
    while part.len() < PART_BYTES {
        let room = ROOM_BYTES.min(PART_BYTES - part.len());
        let read = input.read_buf(&mut (&mut part).limit(room)).await;
        if read.map_err(TransferError::Input)? == 0 {
            break;
        }
    }
    Ok(part.freeze())
}

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        task::{Context, Poll},
    };

    use tokio::io::ReadBuf;

    use super::*;

    /// Yields so many bytes, a few at a time, and notes the most room that it was given.
    struct Input {
        left: usize,
        most_room: usize,
    }

    impl AsyncRead for Input {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.most_room = self.most_room.max(buffer.remaining());
            let piece = self.left.min(50_000).min(buffer.remaining());
            buffer.put_slice(&vec![7; piece]);
            self.left -= piece;
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn parts_are_whole_and_an_input_is_given_little_room_at_a_time() {
        let mut input = Input {
            left: 2 * PART_BYTES + 12_345,
            most_room: 0,
        };
        for expected in [PART_BYTES, PART_BYTES, 12_345, 0] {
            let part = read_part(&mut input).await.unwrap();
            assert_eq!(part.len(), expected);
            assert!(part.iter().all(|byte| *byte == 7));
        }
        assert!(input.most_room <= ROOM_BYTES, "{}", input.most_room);
    }
}
