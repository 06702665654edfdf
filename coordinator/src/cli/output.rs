//! How everything is printed: lines, JSON, tables, durations.

use std::{io::Write, net::SocketAddr, time::Duration};

use chrono::TimeDelta;
use comfy_table::{CellAlignment, Table, presets};
use indicatif::HumanCount;
use serde::Serialize;
use serde_json::json;

use crate::catalog::FailedJob;

/// Failed stores that are named to people who did not ask for all.
pub(super) const NAMED_FAILURES: i64 = 20;

/// Rows that are laid out together; a longer list continues in a new table, and never fills the memory.
pub(super) const TABLE_ROWS: usize = 1000;

/// Prints one JSON object as one line.
pub(super) fn print_json(json: &impl Serialize) {
    print_lines(
        &serde_json::to_string(json)
            .unwrap_or_else(|e| json!({"error": e.to_string()}).to_string()),
    );
}

/// Prints to standard output; a reader that has gone away, as `| head` does, is no reason to fail.
pub(super) fn print_lines(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
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
    format!("{} ({step}{tries}): {message}", failure.store_id)
}

/// A table without lines of its own, as other command line tools print them.
pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header.to_vec());
    table
}

/// The text of a table, with these columns of numbers aligned to the right.
pub(super) fn lay_out(mut table: Table, numbers: &[usize]) -> String {
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if numbers.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// Prints an error for machines.
pub(super) fn print_json_error(message: &str, code: u8) {
    eprintln!(
        "{}",
        json!({"type": "error", "message": message, "exit_code": code})
    );
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
pub(super) fn tell_addresses(dashboard: SocketAddr, health: Option<SocketAddr>, json: bool) {
    let url = |address: SocketAddr| format!("http://{address}/");
    let (dashboard, health) = (url(dashboard), health.map(url));
    if json {
        let mut event = json!({"type": "listening", "url": dashboard});
        if let Some(health) = health {
            event["health_url"] = health.into();
        }
        return print_json(&event);
    }
    eprintln!("the dashboard is at {dashboard}");
    if let Some(health) = health {
        eprintln!("probes and metrics are at {health}");
    }
}

/// How long a run took, precise to what matters at its length.
pub(super) fn human_time(elapsed: Duration) -> String {
    match elapsed.as_secs() {
        0..10 => format!("{:.1}s", elapsed.as_secs_f64()),
        seconds => humantime::format_duration(Duration::from_secs(seconds)).to_string(),
    }
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
}
