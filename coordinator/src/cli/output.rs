//! How everything is printed: lines, JSON, tables, durations. What comes from elsewhere is made visible here, so that no
//! store's id and no answer of a service can change a terminal or fake a line.

use std::{borrow::Cow, io::Write, net::SocketAddr, time::Duration};

use chrono::TimeDelta;
use indicatif::HumanCount;
use seedbed_protocol::{
    say,
    text::{self, visible},
};
use serde::Serialize;
use serde_json::json;

use crate::catalog::FailedJob;

/// Failed stores that are named to people who did not ask for all.
pub(super) const NAMED_FAILURES: i64 = 20;

/// Rows that are laid out together; a longer list continues in a new table, and never fills the memory.
pub(super) const TABLE_ROWS: usize = 1000;

/// Prints one JSON object as one line.
pub(super) fn print_json(json: &impl Serialize) {
    print_text(&json_line(json));
}

fn json_line(json: &impl Serialize) -> String {
    text::json(json).unwrap_or_else(|e| json!({"error": e.to_string()}).to_string())
}

/// Prints a line, or what was laid out, to standard output.
pub(super) fn print_lines(text: &(impl Printable + ?Sized)) {
    print_text(&text.printable());
}

/// Prints a text of this program to standard output as it is; a reader that has gone away, as `| head` does, is no
/// reason to fail.
pub(super) fn print_text(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// What [`print_lines`] takes: a text is one line, whatever is in it.
pub(super) trait Printable {
    fn printable(&self) -> Cow<'_, str>;
}

impl Printable for str {
    fn printable(&self) -> Cow<'_, str> {
        visible(self)
    }
}

impl Printable for String {
    fn printable(&self) -> Cow<'_, str> {
        visible(self)
    }
}

impl Printable for LaidOut {
    fn printable(&self) -> Cow<'_, str> {
        self.0.as_str().into()
    }
}

/// One failed store and why, in one line.
pub(super) fn failure_line(failure: &FailedJob) -> String {
    let step = failure.step.as_deref().unwrap_or("unknown step");
    let message = failure
        .message
        .as_deref()
        .unwrap_or("no reason was reported");
    let tries = match failure.attempts {
        0 | 1 => String::new(),
        tries => format!(" after {tries} tries"),
    };
    let since = match failure.later {
        Some(state) => format!(" (since then: {state})"),
        None => String::new(),
    };
    format!("{} ({step}{tries}): {message}{since}", failure.store_id)
}

/// Lines that are printed as they are: they were made visible when they were laid out.
pub(super) struct LaidOut(String);

impl LaidOut {
    pub(super) fn new(lines: String) -> Self {
        Self(lines)
    }

    /// Its lines, as they are printed.
    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

/// Prints an error for machines.
pub(super) fn print_json_error(message: &str, code: u8) {
    let error = json!({"type": "error", "message": message, "exit_code": code});
    say!("{}", json_line(&error));
}

/// Prints the result of a command for machines, with the type of the event.
pub(super) fn print_event(kind: &str, event: &impl Serialize) {
    let mut json = json!({"type": kind});
    if let (Some(json), Ok(serde_json::Value::Object(fields))) =
        (json.as_object_mut(), serde_json::to_value(event))
    {
        json.extend(fields);
    }
    print_json(&json);
}

/// Says where a server answers.
pub(super) fn tell_addresses(dashboard: &str, health: Option<SocketAddr>, json: bool) {
    let health = health.map(|address| format!("http://{address}/"));
    if json {
        let mut event = json!({"type": "listening", "url": dashboard});
        if let Some(health) = health {
            event["health_url"] = health.into();
        }
        return print_json(&event);
    }
    say!("the dashboard is at {dashboard}");
    if let Some(health) = health {
        say!("probes and metrics are at {health}");
    }
}

/// How long a run took, precise to what matters at its length.
pub(super) fn human_time(elapsed: Duration) -> String {
    match elapsed.as_secs() {
        0..10 => format!("{:.1}s", elapsed.as_secs_f64()),
        seconds => humantime::format_duration(Duration::from_secs(seconds)).to_string(),
    }
}

/// A number with its noun: `1 store`, `2 stores`.
pub(super) fn counted(number: u64, noun: &str) -> String {
    counted_as(number, noun, &format!("{noun}s"))
}

/// As [`counted`], for a noun whose plural is not its own with an `s`.
pub(super) fn counted_as(number: u64, noun: &str, plural: &str) -> String {
    let noun = if number == 1 { noun } else { plural };
    format!("{} {noun}", HumanCount(number))
}

/// How many in a second, if that can be told.
pub(super) fn shown_rate(rate: Option<u64>) -> String {
    rate.map_or_else(|| "-".to_owned(), |rate| HumanCount(rate).to_string())
}

/// The two largest units of an age.
pub(super) fn age(age: TimeDelta) -> String {
    let seconds = age.num_seconds().max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_shows_its_two_largest_units() {
        let shown = |seconds| age(TimeDelta::seconds(seconds));
        assert_eq!(shown(-5), "0s");
        assert_eq!(shown(61), "1m 1s");
        assert_eq!(shown(2 * 86_400 + 3 * 3_600 + 59), "2d 3h");
    }

    #[test]
    fn one_thing_has_no_plural() {
        assert_eq!(counted(1, "bucket"), "1 bucket");
        assert_eq!(counted(0, "bucket"), "0 buckets");
        assert_eq!(counted(1_200, "bucket"), "1,200 buckets");
        assert_eq!(counted_as(1, "entry", "entries"), "1 entry");
        assert_eq!(counted_as(2, "entry", "entries"), "2 entries");
    }
}
