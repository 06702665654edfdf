//! `seedbed status`: the last runs, failures of the newest sweep, how fresh the snapshots are, and what is quarantined or parked.

mod broker;

use std::time::Duration;

use chrono::{DateTime, Utc};
use indicatif::{HumanBytes, HumanCount};
use seedbed_protocol::{
    broker::{Queue, Trouble},
    manifest::Manifest,
};
use serde_json::json;

use self::broker::{BrokerStatus, Queues};

use crate::{
    catalog::{
        Catalog, CatalogError, ConfigChange, FailedJob, Freshness, JobFilter, JobRecord,
        QuarantinedStore, RunKind, RunReport, WayCount, WorkerRecord,
    },
    cli::{
        args::StatusArgs,
        connect::existing_catalog,
        exit::CliError,
        output::{
            LaidOut, NAMED_FAILURES, TABLE_ROWS, age, failure_line, human_time, lay_out,
            print_json, print_lines, shown_rate, table,
        },
    },
    programs::quarantine,
    runs::{Parked, Standing, Untaken},
    settings::Settings,
};

/// Runs that are listed.
const SHOWN_RUNS: i64 = 10;

pub(in crate::cli) async fn status(
    args: StatusArgs,
    settings: &Settings,
    json: bool,
) -> Result<u8, CliError> {
    let catalog = existing_catalog(settings).await?;
    if args.jobs {
        list_jobs(&catalog, json).await?;
        return Ok(0);
    }
    let broker = BrokerStatus::ask(settings, &catalog).await;
    let status = Status::read(&catalog, settings, args.failures || json).await?;
    if json {
        let queues = broker.queues.as_ref();
        print_json(&json!({
            "runs": status.runs,
            "ways": status.ways,
            "configChanges": status.changes,
            "notes": status.noted.iter().map(|manifest| json!({
                "store_id": manifest.store_id, "notes": manifest.notes,
            })).collect::<Vec<_>>(),
            "failures": status.failures,
            "quarantined": status.quarantined,
            "parked": queues.map(|queues| queues.parked),
            "queue": queues.map(|queues| queues.standing),
            "untaken": queues.map(|queues| queues.standing.untaken()),
            "broker": broker.trouble_json(),
            "workers": status.workers,
            "freshness": status.freshness,
        }));
    } else {
        status.print(broker);
    }
    Ok(0)
}

/// What the catalog says.
struct Status {
    /// The last runs, the newest first.
    runs: Vec<RunReport>,
    /// Ways of the newest run's jobs.
    ways: Vec<WayCount>,
    /// Changes of the sync config that the newest run found.
    changes: Vec<ConfigChange>,
    /// Snapshots of the newest run that a person should look at.
    noted: Vec<Manifest>,
    /// Failures of the newest run that is no retry, and what became of their stores since.
    failures: Vec<FailedJob>,
    /// Stores that sweeps skip.
    quarantined: Vec<QuarantinedStore>,
    freshness: Freshness,
    /// The workers that are there.
    workers: Vec<WorkerRecord>,
}

impl Status {
    async fn read(
        catalog: &Catalog,
        settings: &Settings,
        all_failures: bool,
    ) -> Result<Self, CatalogError> {
        let limit = if all_failures {
            i64::MAX
        } else {
            NAMED_FAILURES
        };
        let quarantine = quarantine(&settings.sync);
        let runs = catalog.runs(SHOWN_RUNS).await?;
        let (ways, changes, noted) = match runs.first() {
            Some(newest) => (
                catalog.ways(newest.run_id).await?,
                catalog.config_changes(newest.run_id).await?,
                catalog.noted(newest.run_id, limit).await?,
            ),
            None => Default::default(),
        };
        let failures = match last_sweep(&runs) {
            Some(sweep) => catalog.failed_jobs(sweep.run_id, limit).await?,
            None => Vec::new(),
        };
        Ok(Self {
            runs,
            ways,
            changes,
            noted,
            failures,
            quarantined: catalog.quarantined_stores(quarantine, limit).await?,
            freshness: catalog.freshness(Utc::now()).await?,
            workers: catalog.workers().await?,
        })
    }

    fn print(&self, broker: BrokerStatus) {
        if let Some(trouble @ (Trouble::Blocked { .. } | Trouble::Refused { .. })) = &broker.trouble
        {
            print_lines(&trouble.to_string());
        }
        if self.runs.is_empty() {
            return print_lines("no runs yet; `seedbed local` or `seedbed run` starts one");
        }
        print_lines(&run_table(&self.runs));
        if !self.ways.is_empty() {
            print_lines(&ways_line(&self.ways));
        }
        for ConfigChange { from, to, stores } in &self.changes {
            print_lines(&format!(
                "sync config changed: {from} \u{2192} {to}; {} stores are downloaded in full",
                HumanCount(*stores)
            ));
        }
        print_lines(&freshness_line(&self.freshness));
        for manifest in &self.noted {
            for note in &manifest.notes.0 {
                print_lines(&format!("note: {}: {note}", manifest.store_id));
            }
        }
        for failure in &self.failures {
            print_lines(&format!("failed: {}", failure_line(failure)));
        }
        for store in &self.quarantined {
            print_lines(&quarantine_line(store, Utc::now()));
        }
        let named = self.failures.len() as u64;
        let failed = last_sweep(&self.runs).map_or(0, |sweep| sweep.totals.all_failed());
        let unnamed = failed.saturating_sub(named);
        if unnamed > 0 {
            print_lines(&format!("and {unnamed} more: seedbed status --failures"));
        }
        if let Some(Queues { parked, standing }) = broker.queues {
            self.print_workers(standing);
            print_parked(parked);
        }
    }

    fn print_workers(&self, standing: Standing) {
        let slots: u64 = self.workers.iter().map(|worker| worker.slots).sum();
        let busy: u64 = self.workers.iter().map(|worker| worker.busy).sum();
        print_lines(&match self.workers.len() {
            0 => "workers: none has said that it is there".to_owned(),
            workers => format!("workers: {workers}, with {slots} slots, {busy} busy"),
        });
        match (standing.untaken(), self.workers.len()) {
            (Untaken(0), _) => {}
            (untaken, 0) => print_lines(&format!("{untaken}: start seedbed-worker")),
            (untaken, _) => print_lines(&format!("{untaken}: look at the workers' logs")),
        }
    }
}

fn print_parked(parked: Parked) {
    let Parked {
        jobs,
        messages,
        events,
    } = parked;
    if jobs > 0 {
        print_lines(&format!(
            "parked jobs: {} (seedbed retry starts them over)",
            HumanCount(jobs)
        ));
    }
    for (count, queue) in [(messages, Queue::ParkedJobs), (events, Queue::ParkedEvents)] {
        if count > 0 {
            print_lines(&format!(
                "messages in {queue}: {} (what stays there cannot be read: update Seedbed, or purge the queue)",
                HumanCount(count)
            ));
        }
    }
}

/// The newest run that is no retry of others: what it tells of is not over because some of it was tried again.
fn last_sweep(runs: &[RunReport]) -> Option<&RunReport> {
    let is_retry = |run: &RunReport| run.kind == RunKind::Retry.name();
    runs.iter().find(|run| !is_retry(run)).or(runs.first())
}

fn run_table(runs: &[RunReport]) -> LaidOut {
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
        "TIME",
        "ROWS/S",
        "RUN",
    ]);
    for run in runs {
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
            run.seconds.map_or_else(String::new, |took| {
                human_time(Duration::from_secs_f64(took))
            }),
            shown_rate(run.rows_per_second),
            run.run_id.to_string(),
        ]);
    }
    lay_out(rows, &[2, 3, 4, 5, 6, 7, 8, 9, 10])
}

/// One quarantined store, why, and when it is probed, in a line.
fn quarantine_line(store: &QuarantinedStore, now: DateTime<Utc>) -> String {
    let failing = &store.failing;
    let probe = if store.probe_at <= now {
        "the next sweep probes it".to_owned()
    } else {
        format!("probed in {}", age(store.probe_at - now))
    };
    format!(
        "quarantined: {} ({} sweeps in a row, for {}; {probe}): {}",
        store.store_id,
        failing.sweeps,
        age(now - failing.since),
        failing.reason
    )
}

/// How the jobs of the newest run went, in a line.
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
async fn list_jobs(catalog: &Catalog, as_json: bool) -> Result<(), CatalogError> {
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

fn job_table(jobs: &[JobRecord]) -> LaidOut {
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
