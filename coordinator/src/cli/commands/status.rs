//! `seedbed status` and `seedbed snapshots`: what the catalog knows, as tables or JSON.

use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt;
use indicatif::{HumanBytes, HumanCount};
use seedbed_protocol::{
    StoreId,
    broker::{Broker, BrokerError, Queue},
    snapshots::SnapshotStore,
};
use serde::Serialize;
use serde_json::json;

use crate::{
    catalog::{Catalog, CatalogError, Freshness, JobFilter, JobRecord, SnapshotRecord, WayCount},
    cli::progress::{NAMED_FAILURES, failure_line, lay_out, print_json, print_lines, table},
};

/// Runs that `status` lists.
const SHOWN_RUNS: i64 = 10;

/// Rows that are laid out together; a longer list continues in a new table, and never fills the memory.
const TABLE_ROWS: usize = 1000;

/// Messages that were put aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Parked {
    /// Jobs, which `seedbed retry` starts over.
    pub jobs: u64,
    /// What came as an event and was none.
    pub events: u64,
}

impl Parked {
    /// Asks `broker`.
    ///
    /// # Errors
    /// [`BrokerError`] when it does not answer.
    pub async fn of(broker: &dyn Broker) -> Result<Self, BrokerError> {
        Ok(Self {
            jobs: broker.waiting(Queue::ParkedJobs).await?,
            events: broker.waiting(Queue::ParkedEvents).await?,
        })
    }
}

/// Shows the last runs, which ways the jobs of the newest one went, its failures, with `all_failures` or as JSON each of them, and what is
/// parked, if somebody could tell.
///
/// # Errors
/// [`CatalogError`] when the catalog cannot be read.
pub async fn status(
    catalog: &Catalog,
    parked: Option<Parked>,
    all_failures: bool,
    as_json: bool,
) -> Result<(), CatalogError> {
    let runs = catalog.runs(SHOWN_RUNS).await?;
    let limit = if all_failures || as_json {
        i64::MAX
    } else {
        NAMED_FAILURES
    };
    let failures = match runs.first() {
        Some(newest) => catalog.failed_jobs(newest.run_id, limit).await?,
        None => Vec::new(),
    };
    let ways = match runs.first() {
        Some(newest) => catalog.ways(newest.run_id).await?,
        None => Vec::new(),
    };
    let freshness = catalog.freshness(Utc::now()).await?;
    if as_json {
        print_json(&json!({
            "runs": runs,
            "ways": ways,
            "failures": failures,
            "parked": parked,
            "freshness": freshness,
        }));
        return Ok(());
    }
    let Some(newest) = runs.first() else {
        print_lines("no runs yet; `seedbed local` or `seedbed run` starts one");
        return Ok(());
    };
    let mut rows = table(&[
        "STARTED",
        "STATE",
        "STORES",
        "SEEDED",
        "UNCHANGED",
        "FROM BASE",
        "FAILED",
        "ROWS",
        "SIZE",
        "RUN",
    ]);
    for run in &runs {
        rows.add_row([
            run.started_at.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
            run.state.to_string(),
            HumanCount(run.totals.stores).to_string(),
            HumanCount(run.totals.seeded).to_string(),
            HumanCount(run.totals.unchanged).to_string(),
            HumanCount(run.totals.from_base).to_string(),
            HumanCount(run.totals.failed).to_string(),
            HumanCount(run.totals.rows).to_string(),
            HumanBytes(run.totals.bytes).to_string(),
            run.run_id.to_string(),
        ]);
    }
    print_lines(&lay_out(rows, &[2, 3, 4, 5, 6, 7, 8]));
    if !ways.is_empty() {
        print_lines(&ways_line(&ways));
    }
    print_lines(&freshness_line(&freshness));
    for failure in &failures {
        print_lines(&format!("failed: {}", failure_line(failure)));
    }
    let unnamed = newest.totals.failed.saturating_sub(failures.len() as u64);
    if unnamed > 0 {
        print_lines(&format!("and {unnamed} more: seedbed status --failures"));
    }
    if let Some(Parked { jobs, events }) = parked
        && jobs + events > 0
    {
        print_lines(&format!(
            "parked messages: {jobs} jobs (seedbed retry starts them over), {events} events"
        ));
    }
    Ok(())
}

/// Which ways the jobs of the newest run went, in a line.
fn ways_line(ways: &[WayCount]) -> String {
    let shown: Vec<String> = ways
        .iter()
        .map(|WayCount { way, why, jobs }| {
            let jobs = HumanCount(*jobs);
            match why {
                Some(why) => format!("{jobs} {way} ({why})"),
                None => format!("{jobs} {way}"),
            }
        })
        .collect();
    format!("jobs of the newest run: {}", shown.join(", "))
}

/// Lists each job of the newest run, as a table or JSON lines.
///
/// # Errors
/// [`CatalogError`] when the catalog cannot be read.
pub async fn jobs(catalog: &Catalog, as_json: bool) -> Result<(), CatalogError> {
    let runs = catalog.runs(1).await?;
    let Some(newest) = runs.first() else {
        return Ok(());
    };
    let mut after = None;
    loop {
        let filter = JobFilter::default();
        let (jobs, next) = catalog
            .jobs_page(newest.run_id, &filter, after, TABLE_ROWS as u32)
            .await?;
        if as_json {
            jobs.iter().for_each(print_json);
        } else {
            print_lines(&job_table(&jobs));
        }
        if next.is_none() {
            return Ok(());
        }
        after = next;
    }
}

fn job_table(jobs: &[JobRecord]) -> String {
    let mut rows = table(&["STORE", "STATE", "WAY", "WHY", "TRIES", "WORKER", "TRACE"]);
    for job in jobs {
        let shown = |text: &Option<String>| text.clone().unwrap_or_default();
        rows.add_row([
            job.store_id.to_string(),
            job.state.to_string(),
            shown(&job.way),
            shown(&job.why),
            job.attempt.to_string(),
            shown(&job.worker),
            shown(&job.trace_id),
        ]);
    }
    lay_out(rows, &[4])
}

/// How many stores have a snapshot of which age, in a line.
fn freshness_line(freshness: &Freshness) -> String {
    let Freshness {
        hour,
        six_hours,
        day,
        older,
        never,
    } = *freshness;
    let groups = [
        (hour, "younger than 1 h"),
        (six_hours, "1 to 6 h"),
        (day, "6 h to 1 d"),
        (older, "1 d or older"),
        (never, "none"),
    ];
    let shown = groups.iter().filter(|(stores, _)| *stores > 0);
    let shown: Vec<String> = shown
        .map(|(stores, age)| format!("{} {age}", HumanCount(*stores)))
        .collect();
    format!(
        "snapshots of {} stores: {}",
        HumanCount(freshness.stores()),
        shown.join(", ")
    )
}

/// Lists snapshots: of one store or of each, live ones or `all`.
///
/// # Errors
/// [`CatalogError`] when the catalog cannot be read.
pub async fn snapshots(
    catalog: &Catalog,
    store: &SnapshotStore,
    store_id: Option<&StoreId>,
    all: bool,
    as_json: bool,
) -> Result<(), CatalogError> {
    let now = Utc::now();
    let mut records = catalog.snapshots(store_id, all).chunks(TABLE_ROWS);
    let mut none = true;
    while let Some(chunk) = records.next().await {
        none = false;
        let chunk: Vec<SnapshotRecord> = chunk.into_iter().collect::<Result<_, _>>()?;
        if as_json {
            chunk.iter().for_each(print_json);
        } else {
            print_lines(&snapshot_table(&chunk, store, now));
        }
    }
    if none && !as_json {
        print_lines("no snapshots yet; `seedbed local` makes them");
    }
    Ok(())
}

fn snapshot_table(records: &[SnapshotRecord], store: &SnapshotStore, now: DateTime<Utc>) -> String {
    let mut rows = table(&[
        "STORE", "STATE", "MADE", "VERIFIED", "ROWS", "SIZE", "LAST OP", "FILE",
    ]);
    for SnapshotRecord {
        state,
        verified_at,
        manifest,
    } in records
    {
        let file = manifest.renditions.first().map(|r| store.location(&r.key));
        rows.add_row([
            manifest.store_id.to_string(),
            state.to_string(),
            age(now - manifest.created_at),
            age(now - *verified_at),
            HumanCount(manifest.rows()).to_string(),
            HumanBytes(manifest.bytes()).to_string(),
            manifest.checkpoint.last_op_id.to_string(),
            file.unwrap_or_default(),
        ]);
    }
    lay_out(rows, &[4, 5, 6])
}

/// The two largest units of an age.
fn age(age: TimeDelta) -> String {
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
