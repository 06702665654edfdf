//! Waits, at the start of a command, for parts that are away for a moment: says for what, stops at a signal, and gives up
//! after `sync.wait_for_parts`. What a person has to change is not waited for.

use std::time::Duration;

use futures::StreamExt;
use seedbed_protocol::{
    broker,
    process::Signals,
    say,
    snapshots::{SnapshotRepository, SnapshotsConfig},
};
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    connect::{ClusterParts, broker_soon},
    exit::{CliError, Outcome},
    output::print_event,
};
use crate::{catalog::Catalog, settings::Settings};

/// Pauses between two tries: each twice the one before, up to the second.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Between two lines about one part.
const LINE_PAUSE: Duration = Duration::from_secs(10);

/// How long one try at the object storage may take.
const OBJECTS_TIMEOUT: Duration = Duration::from_secs(10);

/// What a command has left of its patience. It is interrupted by Ctrl-C and SIGTERM.
pub(super) struct Patience {
    signals: Signals,
    waits: Duration,
    until: Instant,
    json: bool,
}

impl Patience {
    /// Starts to count, and to listen for signals.
    pub(super) fn new(settings: &Settings, json: bool) -> Result<Self, CliError> {
        let waits = settings.sync.wait_for_parts;
        Ok(Self {
            signals: Signals::new().map_err(CliError::Signals)?,
            waits,
            until: Instant::now() + waits,
            json,
        })
    }

    /// Tries until `part` answers.
    ///
    /// # Errors
    /// At once what a person has to change, and [`CliError::Interrupted`]; [`CliError::Away`] when the patience is at
    /// its end.
    pub(super) async fn wait_for<T, E: Into<CliError>>(
        &mut self,
        part: &'static str,
        mut attempt: impl AsyncFnMut() -> Result<T, E>,
    ) -> Result<T, CliError> {
        let mut pause = FIRST_PAUSE;
        let mut told: Option<Instant> = None;
        loop {
            let tried = tokio::select! {
                tried = attempt() => tried,
                () = self.signals.next() => return Err(CliError::Interrupted),
            };
            let error: CliError = match tried {
                Ok(value) => return Ok(value),
                Err(error) => error.into(),
            };
            if error.outcome() != Outcome::Later {
                return Err(error);
            }
            let left = self.until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(CliError::Away {
                    part,
                    waited: self.waits,
                    source: Box::new(error),
                });
            }
            if told.is_none_or(|told| told.elapsed() >= LINE_PAUSE) {
                told = Some(Instant::now());
                self.tell(part, &error, left);
            }
            tokio::select! {
                () = tokio::time::sleep(pause.min(left)) => {}
                () = self.signals.next() => return Err(CliError::Interrupted),
            }
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }

    fn tell(&self, part: &str, error: &CliError, left: Duration) {
        let seconds_left = left.as_secs();
        if self.json {
            let reason = error.to_string();
            let waiting = json!({"part": part, "reason": reason, "seconds_left": seconds_left});
            return print_event("waiting", &waiting);
        }
        say!("waiting for {part}, up to {seconds_left} s more: {error}");
    }

    /// Connects to what every command on a cluster needs, and waits for it.
    ///
    /// # Errors
    /// As [`Self::wait_for`].
    pub(super) async fn connect(&mut self, settings: &Settings) -> Result<ClusterParts, CliError> {
        let catalog = self.catalog(settings).await?;
        let mut config = settings.broker.clone();
        if !self.waits.is_zero() {
            // The tries are made here, where a signal is heard and a line is printed.
            config.connect_timeout = Duration::ZERO;
        }
        let broker = self.wait_for("RabbitMQ", async || broker::connect(&config).await);
        let broker = broker.await?;
        Ok(ClusterParts { catalog, broker })
    }

    /// Connects as a command does that changes the catalog first, whatever the broker's state.
    ///
    /// # Errors
    /// As [`Self::wait_for`].
    pub(super) async fn connect_catalog(
        &mut self,
        settings: &Settings,
    ) -> Result<ClusterParts, CliError> {
        let catalog = self.catalog(settings).await?;
        let broker = tokio::select! {
            broker = broker_soon(settings) => broker?,
            () = self.signals.next() => return Err(CliError::Interrupted),
        };
        Ok(ClusterParts { catalog, broker })
    }

    async fn catalog(&mut self, settings: &Settings) -> Result<Catalog, CliError> {
        let url = settings.catalog.url.expose();
        let opening = async || Catalog::open(url).await;
        self.wait_for("the catalog", opening).await
    }

    /// Waits for the object storage in which workers put snapshots. Whether they may write there is not this command's to know.
    ///
    /// # Errors
    /// As [`Self::wait_for`].
    pub(super) async fn objects(&mut self, config: &SnapshotsConfig) -> Result<(), CliError> {
        if config.url.starts_with("file:") || self.waits.is_zero() {
            return Ok(());
        }
        let answers = async || objects_answer(config).await;
        self.wait_for("the object storage", answers).await
    }

    /// Returns a token that the next signal cancels, after `notice`.
    pub(super) fn stop_with(self, notice: &'static str) -> CancellationToken {
        self.signals.cancelling(notice)
    }
}

/// Asks for one object. Only what passes by itself is an error.
async fn objects_answer(config: &SnapshotsConfig) -> Result<(), CliError> {
    let Ok(snapshots) = SnapshotRepository::open(config) else {
        return Ok(());
    };
    let mut objects = snapshots.list();
    match tokio::time::timeout(OBJECTS_TIMEOUT, objects.next()).await {
        Ok(Some(Err(error))) if error.is_transient() => Err(error.into()),
        Ok(_) => Ok(()),
        Err(_) => Err(CliError::Silent {
            url: snapshots.url().to_owned(),
            limit: OBJECTS_TIMEOUT,
        }),
    }
}
