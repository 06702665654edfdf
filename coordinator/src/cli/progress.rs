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

use super::{
    layout::{Sheet, width},
    output::{
        LaidOut, NAMED_FAILURES, failure_line, human_time, print_event, print_json, print_lines,
        shown_rate,
    },
};
use crate::{
    catalog::per_second,
    runs::{
        Untaken,
        progress::{Observer, Progress, ReadProgress, Summary},
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
        let (before, started) = (progress(), Instant::now());
        let meter = Meter {
            last: (before.rows, before.counts.ended(), started),
            before,
            progress,
            started,
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
    let mut sheet = Sheet::new(&[
        ("STORES", 6, true),
        ("SEEDED", 5, true),
        ("FAILED", 7, true),
        ("ROWS", 3, true),
        ("SIZE", 2, true),
        ("TIME", 4, true),
        ("ROWS/S", 1, true),
    ]);
    sheet.add([
        HumanCount(totals.stores).to_string(),
        HumanCount(totals.seeded).to_string(),
        HumanCount(totals.failed).to_string(),
        HumanCount(totals.rows).to_string(),
        HumanBytes(totals.bytes).to_string(),
        human_time(summary.elapsed),
        shown_rate(summary.rows_per_second),
    ]);
    sheet.fit(width())
}

/// Reads how far runs are.
struct Meter {
    progress: ReadProgress,
    /// How far they were then: what others did before says nothing about the pace.
    before: Progress,
    started: Instant,
    /// Rows and stores as they were when they last changed, and when that was.
    last: (u64, u64, Instant),
}

/// How far runs are, and for how long they have been running.
struct Reading {
    now: Progress,
    elapsed: Duration,
    /// Rows since this began.
    new_rows: u64,
    /// Stores that ended since this began.
    ended: u64,
    /// For how long neither has changed: on a cluster, rows are known of stores that have ended only.
    still: Duration,
}

impl Meter {
    fn read(&mut self) -> Reading {
        let now = (self.progress)();
        let ended_before = self.before.counts.ended();
        let (rows, ended) = (now.rows, now.counts.ended());
        if (rows, ended) != (self.last.0, self.last.1) {
            self.last = (rows, ended, Instant::now());
        }
        Reading {
            still: self.last.2.elapsed(),
            now,
            elapsed: self.started.elapsed(),
            new_rows: now.rows.saturating_sub(self.before.rows),
            ended: now.counts.ended().saturating_sub(ended_before),
        }
    }

    async fn every(mut self, pause: Duration, mut show: impl FnMut(Reading)) -> Infallible {
        let mut ticks = tokio::time::interval(pause);
        loop {
            ticks.tick().await;
            show(self.read());
        }
    }
}

async fn show_bar(meter: Meter) -> Infallible {
    let style = ProgressStyle::with_template("{wide_bar} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = CleanBar(ProgressBar::no_length().with_style(style));
    meter
        .every(Duration::from_millis(200), |reading| {
            let (done, left) = reading.done_and_left();
            bar.0.set_length(done + left);
            bar.0.set_position(done);
            bar.0.set_message(reading.line());
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
    /// What is done and what is left: rows as far as anything is known of those that are left, else stores.
    fn done_and_left(&self) -> (u64, u64) {
        let Progress { counts, .. } = self.now;
        match (self.now.rows, self.now.rows_left) {
            (rows, left) if left > 0 => (rows, left),
            _ => (counts.ended(), counts.stores.saturating_sub(counts.ended())),
        }
    }

    /// How long the rest takes at the pace until now, if that can be told: of a store that has more rows than was guessed,
    /// or takes longer than they should, nobody knows.
    fn left(&self) -> Option<Duration> {
        let (done, left) = match self.now.rows_left {
            0 if self.now.rows > 0 => return None,
            0 => (self.ended, self.done_and_left().1),
            rows => (self.new_rows, rows),
        };
        let moved = self.elapsed.saturating_sub(self.still);
        let left = (done > 0).then(|| moved.mul_f64(left as f64 / done as f64))?;
        left.checked_sub(self.still)
    }

    /// Rows in a second.
    fn pace(&self) -> u64 {
        per_second(self.new_rows, self.elapsed).unwrap_or_default()
    }

    fn line(&self) -> String {
        let Progress { counts, rows, .. } = self.now;
        let of_rows = match self.now.rows_left {
            0 => String::new(),
            left => format!(" of {}", HumanCount(rows + left)),
        };
        let left = match self.left() {
            Some(left) => format!(", {} left", human_time(left)),
            None => String::new(),
        };
        format!(
            "{}/{} stores, {} failed, {}{of_rows} rows, {} rows/s, {}{left}{}",
            HumanCount(counts.ended()),
            HumanCount(counts.stores),
            HumanCount(counts.failed),
            HumanCount(rows),
            HumanCount(self.pace()),
            HumanBytes(self.now.bytes),
            self.warning(),
        )
    }

    /// What keeps the runs from going on, if anything is known to.
    fn warning(&self) -> String {
        match self.now.untaken {
            Untaken(0) => String::new(),
            untaken => format!("; {untaken}"),
        }
    }

    fn json(&self) -> serde_json::Value {
        let Progress { counts, .. } = self.now;
        json!({
            "type": "progress",
            "stores": counts.stores,
            "seeded": counts.seeded,
            "failed": counts.failed,
            "rows": self.now.rows,
            "rows_left": self.now.rows_left,
            "bytes": self.now.bytes,
            "untaken": self.now.untaken,
            "rows_per_second": self.pace(),
            "seconds": self.elapsed.as_secs_f64(),
            "seconds_left": self.left().map(|left| left.as_secs_f64()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::progress::Counts;

    fn reading(rows: u64, rows_left: u64, ended: u64) -> Reading {
        Reading {
            now: Progress {
                counts: Counts {
                    stores: 10,
                    seeded: ended,
                    ..Counts::default()
                },
                rows,
                rows_left,
                ..Progress::default()
            },
            elapsed: Duration::from_secs(10),
            new_rows: rows,
            ended,
            still: Duration::ZERO,
        }
    }

    #[test]
    fn time_left_counts_rows_and_only_without_them_stores() {
        // Nine small stores are left of a large one.
        let by_rows = reading(9_000, 1_000, 1);
        assert_eq!(by_rows.done_and_left(), (9_000, 1_000));
        assert_eq!(by_rows.left().unwrap().as_millis(), 1_111);
        let by_stores = reading(0, 0, 5);
        assert_eq!(by_stores.done_and_left(), (5, 5));
        assert_eq!(by_stores.left(), Some(Duration::from_secs(10)));
        assert_eq!(reading(0, 0, 0).left(), None);
        assert_eq!(reading(0, 500, 0).left(), None);
    }

    #[test]
    fn a_large_store_under_way_counts_down_and_one_that_is_larger_than_was_guessed_has_no_time() {
        // Nine stores took 4 s, and one with as many rows as they together has begun 6 s ago.
        let mut large = reading(9_000, 18_000, 9);
        large.still = Duration::from_secs(6);
        assert_eq!(large.left(), Some(Duration::from_secs(2)));
        large.still = Duration::from_secs(8);
        assert_eq!(large.left(), None, "it takes longer than its rows should");
        // By stores it would be a second, whatever the last one has.
        assert_eq!(reading(9_000, 0, 9).left(), None);
    }

    #[test]
    fn a_line_says_how_many_rows_there_are() {
        assert_eq!(
            reading(9_000, 1_000, 1).line(),
            "1/10 stores, 0 failed, 9,000 of 10,000 rows, 900 rows/s, 0 B, 1.1s left"
        );
    }
}
