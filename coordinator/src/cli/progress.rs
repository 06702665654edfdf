//! Shows how far runs are: a bar on a terminal, plain lines elsewhere, JSON for machines.

use std::{
    convert::Infallible,
    io::IsTerminal,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use seedbed_protocol::say;
use serde_json::json;

use super::output::{
    LaidOut, NAMED_FAILURES, failure_line, human_time, lay_out, print_event, print_json,
    print_lines, shown_rate, table,
};
use crate::{
    catalog::per_second,
    runs::{
        Untaken,
        progress::{Counts, Observer, Progress, ReadProgress, Summary},
    },
};

/// Shows progress and summaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProgressPrinter {
    /// A bar on standard error.
    Bar,
    /// A line on standard error every few seconds.
    Lines,
    /// A JSON object on standard output every second.
    Json,
}

impl ProgressPrinter {
    /// JSON if it is asked for, otherwise what suits standard error.
    pub(super) fn new(json: bool) -> Self {
        match json {
            true => Self::Json,
            false if std::io::stderr().is_terminal() => Self::Bar,
            false => Self::Lines,
        }
    }

    /// The same, for the rooms below.
    pub(super) fn observer(json: bool) -> Arc<dyn Observer> {
        Arc::new(Self::new(json))
    }

    async fn show(self, progress: ReadProgress) -> Infallible {
        let meter = Meter {
            before: progress(),
            progress,
            started: Instant::now(),
        };
        match self {
            Self::Bar => show_bar(meter).await,
            Self::Lines => {
                let pause = Duration::from_secs(5);
                meter
                    .every(pause, |reading| say!("{}", reading.line()))
                    .await
            }
            Self::Json => {
                let pause = Duration::from_secs(1);
                meter
                    .every(pause, |reading| print_json(&reading.json()))
                    .await
            }
        }
    }
}

impl Observer for ProgressPrinter {
    fn watch(&self, progress: ReadProgress) -> BoxFuture<'_, Infallible> {
        Box::pin(self.show(progress))
    }

    /// Machines get all of them.
    fn named_failures(&self) -> i64 {
        match self {
            Self::Json => i64::MAX,
            Self::Bar | Self::Lines => NAMED_FAILURES,
        }
    }

    fn summary(&self, summary: &Summary) {
        if *self == Self::Json {
            return print_event("summary", summary);
        }
        print_lines(&summary_table(summary));
        let failures = summary.failures.len() as u64;
        let unnamed = summary.totals.all_failed().saturating_sub(failures);
        for failure in &summary.failures {
            let what = if failure.is_probe {
                "still quarantined"
            } else {
                "failed"
            };
            say!("{what}: {}", failure_line(failure));
        }
        if unnamed > 0 {
            say!("and {unnamed} more: seedbed status --failures");
        }
    }
}

fn summary_table(summary: &Summary) -> LaidOut {
    let totals = &summary.totals;
    let mut table = table(&[
        "STORES", "SEEDED", "FAILED", "ROWS", "SIZE", "TIME", "ROWS/S",
    ]);
    table.add_row([
        HumanCount(totals.stores).to_string(),
        HumanCount(totals.seeded).to_string(),
        HumanCount(totals.failed).to_string(),
        HumanCount(totals.rows).to_string(),
        HumanBytes(totals.bytes).to_string(),
        human_time(summary.elapsed),
        shown_rate(summary.rows_per_second),
    ]);
    lay_out(table, &[0, 1, 2, 3, 4, 5, 6])
}

/// Reads how far runs are.
struct Meter {
    progress: ReadProgress,
    /// How far they were then: what others did before says nothing about the pace.
    before: Progress,
    started: Instant,
}

/// How far runs are, and for how long they have been running.
struct Reading {
    counts: Counts,
    rows: u64,
    bytes: u64,
    untaken: Untaken,
    elapsed: Duration,
    /// Rows in a second.
    pace: u64,
    /// Stores that ended since this began.
    ended: u64,
}

impl Meter {
    fn read(&self) -> Reading {
        let Progress {
            counts,
            rows,
            bytes,
            untaken,
        } = (self.progress)();
        let elapsed = self.started.elapsed();
        let new_rows = rows.saturating_sub(self.before.rows);
        Reading {
            counts,
            rows,
            bytes,
            untaken,
            elapsed,
            pace: per_second(new_rows, elapsed).unwrap_or_default(),
            ended: counts.ended().saturating_sub(self.before.counts.ended()),
        }
    }

    async fn every(self, pause: Duration, mut show: impl FnMut(Reading)) -> Infallible {
        let mut ticks = tokio::time::interval(pause);
        loop {
            ticks.tick().await;
            show(self.read());
        }
    }
}

async fn show_bar(meter: Meter) -> Infallible {
    let style = ProgressStyle::with_template(
        "{wide_bar} {human_pos}/{human_len} stores, {msg}, {eta} left",
    )
    .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = CleanBar(ProgressBar::no_length().with_style(style));
    meter
        .every(Duration::from_millis(200), |reading| {
            bar.0.set_length(reading.counts.stores);
            bar.0.set_position(reading.counts.ended());
            bar.0.set_message(format!(
                "{} failed, {} rows/s, {}{}",
                HumanCount(reading.counts.failed),
                HumanCount(reading.pace),
                HumanBytes(reading.bytes),
                reading.warning(),
            ));
        })
        .await
}

/// A bar that clears itself when it is dropped, so that the summary takes its place.
struct CleanBar(ProgressBar);

impl Drop for CleanBar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Reading {
    fn left(&self) -> Option<Duration> {
        let left = self.counts.stores.saturating_sub(self.counts.ended());
        (self.ended > 0).then(|| self.elapsed.mul_f64(left as f64 / self.ended as f64))
    }

    fn line(&self) -> String {
        let left = match self.left() {
            Some(left) => format!(", {} left", human_time(left)),
            None => String::new(),
        };
        format!(
            "{}/{} stores, {} failed, {} rows/s, {}{left}{}",
            self.counts.ended(),
            self.counts.stores,
            self.counts.failed,
            self.pace,
            HumanBytes(self.bytes),
            self.warning(),
        )
    }

    /// What keeps the runs from going on, if anything is known to.
    fn warning(&self) -> String {
        match self.untaken {
            Untaken(0) => String::new(),
            untaken => format!("; {untaken}"),
        }
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "type": "progress",
            "stores": self.counts.stores,
            "seeded": self.counts.seeded,
            "failed": self.counts.failed,
            "rows": self.rows,
            "bytes": self.bytes,
            "untaken": self.untaken,
            "rows_per_second": self.pace,
            "seconds": self.elapsed.as_secs_f64(),
            "seconds_left": self.left().map(|left| left.as_secs_f64()),
        })
    }
}
