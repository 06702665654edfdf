//! Background tasks while this process seeds: a worker, and the recorder of its events.

use std::sync::Arc;

use futures::future;
use seedbed_protocol::broker::{Broker, MemoryBroker};
use seedbed_worker::{Shutdown, Worker};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::error::LocalError;

/// A worker, and what records its events.
pub(super) struct Background {
    worker: Option<JoinHandle<Result<(), LocalError>>>,
    recorder: Option<JoinHandle<Result<(), LocalError>>>,
    stop_worker: CancellationToken,
    stop_recorder: CancellationToken,
    broker: Arc<MemoryBroker>,
}

impl Background {
    /// Starts the worker, and `record`, which records what it reports until it is told to stop.
    pub(super) fn start<F>(
        worker: Worker,
        broker: Arc<MemoryBroker>,
        record: impl FnOnce(CancellationToken) -> F,
    ) -> Self
    where
        F: Future<Output = Result<(), LocalError>> + Send + 'static,
    {
        let (stop_worker, stop_recorder) = (CancellationToken::new(), CancellationToken::new());
        let stop = stop_worker.clone();
        let worker = tokio::spawn(async move { Ok(worker.run(Shutdown::at_once(stop)).await?) });
        Self {
            worker: Some(worker),
            recorder: Some(tokio::spawn(record(stop_recorder.clone()))),
            stop_worker,
            stop_recorder,
            broker,
        }
    }

    /// Waits until a task ends that should not.
    pub(super) async fn failure(&mut self) -> LocalError {
        let (part, ended) = tokio::select! {
            ended = join(&mut self.worker) => ("worker", ended),
            ended = join(&mut self.recorder) => ("recording of events", ended),
        };
        match ended {
            Err(error) => error,
            Ok(()) => LocalError::Ended {
                part,
                reason: "it was not told to".to_owned(),
            },
        }
    }

    /// Stops the worker, records what it still reported, and stops.
    pub(super) async fn stop(mut self) -> Result<(), LocalError> {
        self.stop_worker.cancel();
        if self.recorder.is_none() {
            // Nothing takes events any more; a worker must not wait for room to report one.
            self.broker.close().await;
        }
        let worker = match self.worker {
            Some(_) => join(&mut self.worker).await,
            None => Ok(()),
        };
        self.stop_recorder.cancel();
        let recorder = match self.recorder {
            Some(_) => join(&mut self.recorder).await,
            None => Ok(()),
        };
        worker.and(recorder)
    }
}

/// The result of a task, once. A task whose result was taken never ends again.
async fn join(task: &mut Option<JoinHandle<Result<(), LocalError>>>) -> Result<(), LocalError> {
    let Some(handle) = task else {
        return future::pending().await;
    };
    let ended = handle.await;
    *task = None;
    ended.unwrap_or_else(|error| {
        Err(LocalError::Ended {
            part: "background task",
            reason: error.to_string(),
        })
    })
}
