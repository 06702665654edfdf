//! The tables of `seedbed status`: runs, and the jobs of one.

use std::time::Duration;

use indicatif::{HumanBytes, HumanCount};

use crate::{
    catalog::{JobRecord, RunReport, ShortRunId},
    cli::{
        layout::Sheet,
        output::{LaidOut, human_time, shown_rate},
    },
};

/// From this width on, a run's id is shown whole.
const FOR_WHOLE_IDS: usize = 120;

/// From these widths on, a time is shown with its seconds, and with its year.
const FOR_SECONDS: usize = 100;
const FOR_YEARS: usize = 70;

/// What is said of a job that waits for the service.
const WAITS: &str = "waits (429)";

pub(super) fn runs(runs: &[RunReport], width: usize) -> LaidOut {
    let mut sheet = Sheet::new(&[
        ("STARTED", 10, false),
        ("STATE", 11, false),
        ("STORES", 7, true),
        ("SEEDED", 6, true),
        ("UNCHANGED", 2, true),
        ("FROM BASE", 1, true),
        ("FAILED", 9, true),
        ("ROWS", 3, true),
        ("SIZE", 4, true),
        ("TIME", 5, true),
        ("ROWS/S", 0, true),
        ("RUN", 8, false),
    ]);
    let time = match width {
        FOR_SECONDS.. => "%Y-%m-%d %H:%M:%S UTC",
        FOR_YEARS.. => "%Y-%m-%d %H:%MZ",
        _ => "%m-%d %H:%MZ",
    };
    for run in runs {
        sheet.add([
            run.started_at.format(time).to_string(),
            run.state.to_string(),
            HumanCount(run.totals.stores).to_string(),
            HumanCount(run.totals.seeded).to_string(),
            HumanCount(run.totals.unchanged).to_string(),
            HumanCount(run.totals.from_base).to_string(),
            HumanCount(run.totals.failed).to_string(),
            HumanCount(run.totals.rows).to_string(),
            HumanBytes(run.totals.bytes).to_string(),
            run.seconds.map_or_else(String::new, |took| {
                human_time(Duration::from_secs_f64(took))
            }),
            shown_rate(run.rows_per_second),
            match width {
                FOR_WHOLE_IDS.. => run.run_id.to_string(),
                _ => ShortRunId(run.run_id).to_string(),
            },
        ]);
    }
    sheet.fit(width)
}

pub(super) fn jobs(jobs: &[JobRecord], width: usize) -> LaidOut {
    let mut sheet = Sheet::new(&[
        ("STORE", 7, false),
        ("STATE", 6, false),
        ("WAY", 5, false),
        ("WHY", 4, false),
        ("TRIES", 3, true),
        ("WORKER", 1, false),
        ("TRACE", 2, false),
    ]);
    for job in jobs {
        let shown = |text: &Option<String>| text.clone().unwrap_or_default();
        let state = match job.waits_for_service {
            true => WAITS.to_owned(),
            false => job.state.to_string(),
        };
        sheet.add([
            job.store_id.to_string(),
            state,
            shown(&job.way),
            shown(&job.why),
            job.attempt.to_string(),
            shown(&job.worker),
            shown(&job.trace_id),
        ]);
    }
    sheet.fit(width)
}
