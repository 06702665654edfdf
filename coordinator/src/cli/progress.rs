//! Shows how far a run is: a bar on a terminal, plain lines elsewhere, JSON for machines.

use std::{
    convert::Infallible,
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

use comfy_table::{CellAlignment, Table, presets};
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use seedbed_protocol::RunId;
use serde::Serialize;
use serde_json::json;

use crate::catalog::{Applied, FailedJob, Totals};

/// Failed stores that are named to people who did not ask for all.
pub const NAMED_FAILURES: i64 = 20;

/// What has happened to the jobs of the current run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Jobs of the run.
    pub stores: u64,
    /// Those with a verified snapshot.
    pub seeded: u64,
    /// Those that failed for good.
    pub failed: u64,
    /// Those that were given up before they ended.
    pub dropped: u64,
}

impl Counts {
    /// Counts what events have changed.
    pub fn add(&mut self, applied: &[Applied]) {
        for applied in applied {
            match applied {
                Applied::Seeded { .. } | Applied::Unchanged => self.seeded += 1,
                Applied::Failed => self.failed += 1,
                Applied::Noted | Applied::Ignored | Applied::UnknownJob => {}
            }
        }
    }

    /// Jobs that have ended, one way or another.
    pub fn ended(&self) -> u64 {
        self.seeded + self.failed + self.dropped
    }

    /// Whether every job has ended.
    pub fn done(&self) -> bool {
        self.ended() >= self.stores
    }
}

/// How far a run is at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Its jobs.
    pub counts: Counts,
    /// Rows that came so far.
    pub rows: u64,
    /// Bytes that came so far.
    pub bytes: u64,
}

/// How a run ended.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The run.
    pub run_id: RunId,
    /// What its jobs add up to.
    #[serde(flatten)]
    pub totals: Totals,
    /// How long it took.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub elapsed: Duration,
    /// The failed stores, as many as [`Reporter::named_failures`] says.
    pub failures: Vec<FailedJob>,
}

fn seconds<S: serde::Serializer>(elapsed: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(elapsed.as_secs_f64())
}

/// Tells people or machines about runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reporter {
    /// A bar on standard error.
    Bar,
    /// A line on standard error every few seconds.
    Lines,
    /// A JSON object on standard output every second.
    Json,
}

impl Reporter {
    /// JSON if it is asked for, else what suits standard error.
    pub fn new(json: bool) -> Self {
        match json {
            true => Self::Json,
            false if std::io::stderr().is_terminal() => Self::Bar,
            false => Self::Lines,
        }
    }

    /// How many failed stores a summary names: machines get all of them.
    pub fn named_failures(self) -> i64 {
        match self {
            Self::Json => i64::MAX,
            Self::Bar | Self::Lines => NAMED_FAILURES,
        }
    }

    /// Shows what `standing` says until it is dropped.
    pub async fn follow(self, standing: impl Fn() -> Standing) -> Infallible {
        let meter = Meter {
            standing,
            started: Instant::now(),
        };
        match self {
            Self::Bar => follow_with_bar(meter).await,
            Self::Lines => {
                meter
                    .every(Duration::from_secs(5), |reading| {
                        eprintln!("{}", reading.line());
                    })
                    .await
            }
            Self::Json => {
                meter
                    .every(Duration::from_secs(1), |reading| {
                        print_json(&reading.json());
                    })
                    .await
            }
        }
    }

    /// Shows how a run ended.
    pub fn summary(self, summary: &Summary) {
        if self == Self::Json {
            let mut json = json!({"type": "summary"});
            if let (Some(json), Ok(serde_json::Value::Object(fields))) =
                (json.as_object_mut(), serde_json::to_value(summary))
            {
                json.extend(fields);
            }
            print_json(&json);
            return;
        }
        print_lines(&summary_table(summary));
        let failures = summary.failures.len() as u64;
        let unnamed = summary.totals.failed.saturating_sub(failures);
        for failure in &summary.failures {
            eprintln!("failed: {}", failure_line(failure));
        }
        if unnamed > 0 {
            eprintln!("and {unnamed} more: seedbed status --failures");
        }
    }
}

/// Prints one JSON object as one line.
pub(crate) fn print_json(json: &impl Serialize) {
    print_lines(
        &serde_json::to_string(json)
            .unwrap_or_else(|e| json!({"error": e.to_string()}).to_string()),
    );
}

/// Prints to standard output; a reader that has gone away, as `| head` does, is no reason to fail.
pub(crate) fn print_lines(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// One failed store and why, in one line.
pub(crate) fn failure_line(failure: &FailedJob) -> String {
    let step = failure.step.as_deref().unwrap_or("unknown step");
    let message = failure
        .message
        .as_deref()
        .unwrap_or("no reason was reported");
    let tries = match failure.attempts {
        0 | 1 => String::new(),
        tries => format!(" after {tries} tries"),
    };
    format!("{} ({step}{tries}): {message}", failure.store_id)
}

/// A table without lines of its own, as other command line tools print them.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header.to_vec());
    table
}

/// The text of a table, with these columns of numbers aligned to the right.
pub(crate) fn lay_out(mut table: Table, numbers: &[usize]) -> String {
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if numbers.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

fn summary_table(summary: &Summary) -> String {
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
        HumanCount(per_second(totals.rows, summary.elapsed)).to_string(),
    ]);
    lay_out(table, &[0, 1, 2, 3, 4, 5, 6])
}

fn per_second(count: u64, elapsed: Duration) -> u64 {
    // Whole rows are precise enough.
    (count as f64 / elapsed.as_secs_f64().max(0.001)) as u64
}

/// A time of run, precise to what matters at its length.
fn human_time(elapsed: Duration) -> String {
    match elapsed.as_secs() {
        0..10 => format!("{:.1}s", elapsed.as_secs_f64()),
        seconds => humantime::format_duration(Duration::from_secs(seconds)).to_string(),
    }
}

/// Reads how far a run is.
struct Meter<F> {
    standing: F,
    started: Instant,
}

/// What the meter says at one moment.
struct Reading {
    counts: Counts,
    rows: u64,
    bytes: u64,
    elapsed: Duration,
}

impl<F: Fn() -> Standing> Meter<F> {
    fn read(&self) -> Reading {
        let Standing {
            counts,
            rows,
            bytes,
        } = (self.standing)();
        Reading {
            counts,
            rows,
            bytes,
            elapsed: self.started.elapsed(),
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

async fn follow_with_bar(meter: Meter<impl Fn() -> Standing>) -> Infallible {
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
                "{} failed, {} rows/s, {}",
                HumanCount(reading.counts.failed),
                HumanCount(per_second(reading.rows, reading.elapsed)),
                HumanBytes(reading.bytes),
            ));
        })
        .await
}

/// A bar that leaves the terminal when it is dropped, so that the summary takes its place.
struct CleanBar(ProgressBar);

impl Drop for CleanBar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Reading {
    fn left(&self) -> Option<Duration> {
        let done = self.counts.ended();
        let left = self.counts.stores.saturating_sub(done);
        (done > 0).then(|| self.elapsed.mul_f64(left as f64 / done as f64))
    }

    fn line(&self) -> String {
        let left = match self.left() {
            Some(left) => format!(", {} left", human_time(left)),
            None => String::new(),
        };
        format!(
            "{}/{} stores, {} failed, {} rows/s, {}{left}",
            self.counts.ended(),
            self.counts.stores,
            self.counts.failed,
            per_second(self.rows, self.elapsed),
            HumanBytes(self.bytes),
        )
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "type": "progress",
            "stores": self.counts.stores,
            "seeded": self.counts.seeded,
            "failed": self.counts.failed,
            "rows": self.rows,
            "bytes": self.bytes,
            "rows_per_second": per_second(self.rows, self.elapsed),
            "seconds": self.elapsed.as_secs_f64(),
            "seconds_left": self.left().map(|left| left.as_secs_f64()),
        })
    }
}
