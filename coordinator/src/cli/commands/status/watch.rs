//! `seedbed status --watch`: shows a run until it ends, or Ctrl-C. On a terminal what is shown is drawn again; elsewhere a line is
//! added whenever something has changed, and JSON is printed whole.

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

use chrono::Utc;
use indicatif::HumanCount;
use seedbed_protocol::{
    process::{FAILED, INTERRUPTED},
    say,
};
use terminal_size::{Height, terminal_size_of};

use super::{
    broker::{BrokerLink, BrokerStatus},
    read::{Status, Wanted},
    show::show,
};
use crate::{
    catalog::{Catalog, RunReport, RunState, ShortRunId},
    cli::{
        connect::stop_on_signals,
        exit::CliError,
        layout::{cut, width},
        output::{counted, print_json, print_lines, print_text},
    },
    settings::Settings,
};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(2);

const LEAVING: &str = "no longer watching; a run continues";

/// Shows the newest run, or the one that is wanted, until it ends. Returns 0 if every job succeeded, 1 if not.
pub(super) async fn watch(
    catalog: &Catalog,
    settings: &Settings,
    broker: &BrokerLink,
    wanted: Wanted,
) -> Result<u8, CliError> {
    let stop = stop_on_signals(LEAVING)?;
    let mut screen = Screen::new(wanted.json);
    loop {
        let looked = async {
            let standing = broker.ask(catalog).await;
            let status = Status::read(catalog, settings, wanted).await?;
            Ok::<_, CliError>((status, standing))
        };
        let looked = tokio::select! {
            looked = looked => looked,
            () = stop.cancelled() => return Ok(INTERRUPTED),
        };
        match looked {
            Ok((status, standing)) => {
                let run = status.runs.first();
                let ended = run.is_none_or(|run| run.finished_at.is_some());
                screen.update(&status, &standing, ended);
                if ended {
                    let is_well = run.is_none_or(|run| run.state == RunState::Completed);
                    return Ok(if is_well { 0 } else { FAILED });
                }
            }
            Err(CliError::Catalog(error)) if error.is_transient() => {
                say!("looking again soon: {error}");
            }
            Err(error) => return Err(error),
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = stop.cancelled() => return Ok(INTERRUPTED),
        }
    }
}

/// Where it is shown.
enum Screen {
    /// Drawn over what was there before.
    Terminal { is_drawn: bool },
    /// A line for each change, and everything at the end.
    Lines { last: String },
    /// Everything, whenever something has changed.
    Json { last: String },
}

impl Screen {
    fn new(json: bool) -> Self {
        let last = String::new();
        match json {
            true => Self::Json { last },
            false if std::io::stdout().is_terminal() => Self::Terminal { is_drawn: false },
            false => Self::Lines { last },
        }
    }

    fn update(&mut self, status: &Status, broker: &BrokerStatus, ended: bool) {
        match self {
            Self::Terminal { is_drawn } => {
                draw(&show(status, broker, width()), !*is_drawn, ended);
                *is_drawn = true;
            }
            Self::Lines { last } => {
                if ended {
                    return print_text(&show(status, broker, width()));
                }
                let line = status.runs.first().map(|run| progress(run, status));
                let line = line.unwrap_or_default();
                if line != *last {
                    print_lines(&format!("{} {line}", Utc::now().format("%H:%M:%SZ")));
                    *last = line;
                }
            }
            Self::Json { last } => {
                let status = status.json(broker);
                let text = status.to_string();
                if text != *last {
                    print_json(&status);
                    *last = text;
                }
            }
        }
    }
}

/// One line on how far a run is.
fn progress(run: &RunReport, status: &Status) -> String {
    let totals = &run.totals;
    let done = totals.stores - totals.in_flight.min(totals.stores);
    let waiting = status.service_wait.stores + status.service_wait.running;
    let wait = (waiting > 0).then(|| {
        let stores = counted(waiting, "store");
        format!(", {stores} waiting for the service (429)")
    });
    format!(
        "{} {}: {} of {} done, {} failed, {} rows{}",
        ShortRunId(run.run_id),
        run.state,
        HumanCount(done),
        counted(totals.stores, "store"),
        HumanCount(totals.failed),
        HumanCount(totals.rows),
        wait.unwrap_or_default()
    )
}

/// Draws lines over those before, from the top; no more than there is room for, unless they are the last.
fn draw(text: &str, is_first: bool, is_last: bool) {
    let mut out = std::io::stdout().lock();
    let height = terminal_size_of(&out).map_or(usize::MAX, |(_, Height(rows))| rows.into());
    let columns = width();
    let lines: Vec<&str> = text.lines().collect();
    let room = height.saturating_sub(2).max(1);
    let clear = if is_first { "\u{1b}[2J" } else { "" };
    let mut drawn = format!("{clear}\u{1b}[H");
    let shown = if is_last {
        lines.len()
    } else {
        lines.len().min(room)
    };
    for line in &lines[..shown] {
        // A line that wraps would move all others.
        let line = if is_last {
            (*line).to_owned()
        } else {
            cut(line, columns)
        };
        drawn.push_str(&format!("{line}\u{1b}[K\n"));
    }
    if shown < lines.len() {
        drawn.push_str("…\u{1b}[K\n");
    }
    drawn.push_str("\u{1b}[J");
    // A terminal that has gone away is no reason to fail.
    let _ = out.write_all(drawn.as_bytes()).and_then(|()| out.flush());
}
