//! Carries stores from a reader to the run: a bounded channel, with an explicit end of the list.

use futures::{StreamExt, stream::BoxStream};
use tokio::sync::mpsc;

use super::error::SourceError;
use super::store::Store;

/// Records that a reader may be ahead of the one that takes them.
pub(super) const READ_AHEAD: usize = 256;

/// What a reader sends: a store, or `None` at the end of the list. A reader that ends without `None` did not
/// read all of it.
pub(super) type Read = Result<Option<Store>, SourceError>;

/// The stores that a reader sends, up to the end of the list or the first error.
pub(super) fn until_end<'a>(
    receiver: mpsc::Receiver<Read>,
    origin: String,
) -> BoxStream<'a, Result<Store, SourceError>> {
    futures::stream::unfold(Some((receiver, origin)), async |reader| {
        let (mut receiver, origin) = reader?;
        match receiver.recv().await {
            Some(Ok(Some(store))) => Some((Ok(store), Some((receiver, origin)))),
            Some(Ok(None)) => None,
            Some(Err(error)) => Some((Err(error), None)),
            None => Some((Err(SourceError::Ended { origin }), None)),
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn a_reader_that_dies_is_not_the_end_of_the_list() {
        let (sender, receiver) = mpsc::channel::<Read>(1);
        drop(sender);
        let stores: Result<Vec<_>, _> = until_end(receiver, "stores.csv".to_owned())
            .try_collect()
            .await;
        assert!(stores.unwrap_err().to_string().contains("stores.csv"));
        let (sender, receiver) = mpsc::channel::<Read>(1);
        sender.send(Ok(None)).await.unwrap();
        let stores: Vec<_> = until_end(receiver, "stores.csv".to_owned())
            .try_collect()
            .await
            .unwrap();
        assert!(stores.is_empty());
    }
}
