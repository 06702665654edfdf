//! How long a job waits for a service that brings nothing new, and how its pauses grow.
//!
//! Only operations are progress: not an answer, a checkpoint or a keepalive. Within a stream every operation that
//! arrives counts. From one stream to the next only those count that the log has kept, since a service could send the
//! same ones again and again.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use crate::{backoff::Backoff, powersync::StreamError};

/// The longest pause before a stream is opened again, unless the service asks for more.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// The pauses before a stream is opened again.
const PAUSES: Backoff = Backoff {
    first: Duration::from_millis(250),
    longest: LONGEST_PAUSE,
    jitter: 0.5..1.0,
};

/// What is left of a job's patience.
#[derive(Debug)]
pub(super) struct Patience {
    give_up_after: Duration,
    /// How far the log has come at most.
    furthest: u128,
    /// Streams in a row that brought nothing that was kept.
    fruitless: u32,
    /// How long those took, and the pauses between them.
    before: Duration,
    stream: CurrentStream,
}

/// The stream that is open, or was last.
#[derive(Debug, Default)]
struct CurrentStream {
    /// How long it was waited for, in all.
    waited: Duration,
    /// How long it was waited for since its last operation.
    quiet: Duration,
    has_operations: bool,
}

impl Patience {
    /// Returns the patience of a job whose log opens its first stream with `request`.
    pub(super) fn new(give_up_after: Duration, request: &str) -> Self {
        Self {
            give_up_after,
            furthest: position(request),
            fruitless: 0,
            before: Duration::ZERO,
            stream: CurrentStream::default(),
        }
    }

    /// Waits for the service.
    ///
    /// # Errors
    /// What the service failed with, or [`StreamError::GaveUp`].
    pub(super) async fn wait<T>(
        &mut self,
        service: impl Future<Output = Result<T, StreamError>>,
    ) -> Result<T, StreamError> {
        let left = self.left();
        if left.is_zero() {
            return Err(self.gave_up(None));
        }
        let started = Instant::now();
        let answer = tokio::time::timeout(left, service).await;
        let waited = started.elapsed();
        self.stream.waited += waited;
        self.stream.quiet += waited;
        answer.unwrap_or_else(|_| Err(self.gave_up(None)))
    }

    /// Records that operations have arrived.
    pub(super) fn operations_arrived(&mut self) {
        self.stream.quiet = Duration::ZERO;
        self.stream.has_operations = true;
    }

    /// Records that the stream has ended, and that the log would open the next one with `request`.
    pub(super) fn stream_ended(&mut self, request: &str) {
        let stream = std::mem::take(&mut self.stream);
        let position = position(request);
        if position > self.furthest {
            self.furthest = position;
            self.fruitless = 0;
            self.before = Duration::ZERO;
        } else {
            self.fruitless += 1;
            self.before += stream.waited;
        }
    }

    /// Records that the log has dropped operations, and downloads them again.
    pub(super) fn operations_dropped(&mut self, request: &str) {
        self.stream = CurrentStream::default();
        self.furthest = position(request);
    }

    /// Returns the pause before the next stream after `error`: never none, and at least what the service asks for.
    pub(super) fn pause(&self, error: &StreamError) -> Duration {
        let pause = PAUSES.pause(self.fruitless.max(1));
        pause.max(error.retry_after().unwrap_or_default())
    }

    /// Takes a pause from what is left; returns whether there is as much.
    pub(super) fn spend(&mut self, pause: Duration) -> bool {
        self.before += pause;
        self.before < self.give_up_after
    }

    /// Returns how many streams in a row brought nothing.
    pub(super) fn fruitless(&self) -> u32 {
        self.fruitless
    }

    /// Returns the error with which a job gives up, after `last`.
    pub(super) fn gave_up(&self, last: Option<StreamError>) -> StreamError {
        StreamError::GaveUp {
            after: self.give_up_after,
            last: last.map(Box::new),
        }
    }

    fn left(&self) -> Duration {
        let before = match self.stream.has_operations {
            true => Duration::ZERO,
            false => self.before,
        };
        self.give_up_after
            .saturating_sub(before + self.stream.quiet)
    }
}

/// Returns how far a log has come that asks with `request`: the sum of its positions in all buckets.
fn position(request: &str) -> u128 {
    #[derive(Deserialize)]
    struct Request<'a> {
        #[serde(borrow, default)]
        buckets: Vec<Position<'a>>,
    }
    #[derive(Deserialize)]
    struct Position<'a> {
        #[serde(borrow)]
        after: std::borrow::Cow<'a, str>,
    }
    // The core extension has made it. If it ever had another form, no stream would count as progress.
    let request = serde_json::from_str::<Request>(request);
    let positions = request.map(|request| request.buckets).unwrap_or_default();
    let numbers = positions
        .iter()
        .filter_map(|bucket| bucket.after.parse::<u64>().ok());
    numbers.map(u128::from).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn request(after: u64) -> String {
        format!(r#"{{"buckets":[{{"name":"a","after":"7"}},{{"name":"b","after":"{after}"}}]}}"#)
    }

    fn dropped() -> StreamError {
        StreamError::Dropped("it broke".to_owned())
    }

    async fn wait(patience: &mut Patience, seconds: u64) -> Result<(), StreamError> {
        let waiting = async {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Ok(())
        };
        patience.wait(waiting).await
    }

    #[tokio::test(start_paused = true)]
    async fn what_arrives_starts_the_time_anew_and_the_same_again_does_not() {
        let mut patience = Patience::new(LIMIT, &request(0));
        for after in 1..10 {
            wait(&mut patience, 50).await.unwrap();
            patience.operations_arrived();
            wait(&mut patience, 50).await.unwrap();
            patience.stream_ended(&request(after));
            assert!(patience.pause(&dropped()) <= Duration::from_millis(250));
        }
        wait(&mut patience, 40).await.unwrap();
        patience.operations_arrived();
        patience.stream_ended(&request(9));
        assert_eq!(patience.fruitless(), 1);
        let error = wait(&mut patience, 30).await.unwrap_err();
        assert!(
            error.to_string().contains("powersync.give_up_after"),
            "{error}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_always_has_an_answer_ready_is_given_up_too() {
        let mut patience = Patience::new(LIMIT, &request(0));
        let mut answers = 0;
        while wait(&mut patience, 1).await.is_ok() {
            answers += 1;
            assert!(answers <= 60);
        }
    }

    #[test]
    fn pauses_grow_are_never_none_and_are_not_unlimited() {
        let mut patience = Patience::new(LIMIT, &request(0));
        let mut pauses = 0;
        loop {
            patience.stream_ended(&request(0));
            let pause = patience.pause(&dropped());
            assert!(!pause.is_zero() && pause <= LONGEST_PAUSE);
            pauses += 1;
            if !patience.spend(pause) {
                break;
            }
        }
        assert!((8..20).contains(&pauses), "{pauses} in a minute");
    }
}
