//! What `seedbed status` reads from the catalog, and its JSON.

use chrono::Utc;
use seedbed_protocol::{RunId, manifest::Manifest};
use serde_json::{Value, json};

use super::broker::BrokerStatus;
use crate::{
    catalog::{
        Catalog, CatalogError, ConfigChange, FailedJob, FailureGroup, FailuresOf, Freshness,
        QuarantinedStore, RunComparison, RunKind, RunReport, ServiceWait, WayCount, WorkerRecord,
    },
    cli::output::NAMED_FAILURES,
    programs::quarantine,
    settings::Settings,
};

/// Runs that are listed.
const SHOWN_RUNS: i64 = 10;

/// Reasons that are shown to people who did not ask for all.
const SHOWN_REASONS: i64 = 5;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    /// Only this run.
    pub(super) run_id: Option<RunId>,
    /// Every failed store, by its name.
    pub(super) all_failures: bool,
    /// For a machine: everything.
    pub(super) json: bool,
}

/// What the catalog says.
pub(super) struct Status {
    /// The run that was asked for.
    pub(super) only: Option<RunId>,
    /// The last runs, the newest first; or the one that was asked for.
    pub(super) runs: Vec<RunReport>,
    /// Ways of the newest run's jobs.
    pub(super) ways: Vec<WayCount>,
    /// Changes of the sync config that the newest run found.
    pub(super) changes: Vec<ConfigChange>,
    /// The newest run that is no retry, beside the one before it.
    pub(super) comparison: Option<RunComparison>,
    /// Snapshots of the newest run that a person should look at.
    pub(super) noted: Vec<Manifest>,
    /// What stores fail for: now, or in the run that was asked for.
    pub(super) reasons: Vec<FailureGroup>,
    /// How many reasons there are.
    pub(super) reasons_in_all: u64,
    /// Failures of the newest run that is no retry, and what became of their stores since; only if all were asked for.
    pub(super) failures: Vec<FailedJob>,
    /// Stores that sweeps skip.
    pub(super) quarantined: Vec<QuarantinedStore>,
    pub(super) quarantined_in_all: u64,
    pub(super) freshness: Freshness,
    /// Stores that wait for the service (429).
    pub(super) service_wait: ServiceWait,
    /// The workers that are there.
    pub(super) workers: Vec<WorkerRecord>,
    /// Whether all is in one process: `seedbed retry` is for clusters.
    pub(super) is_local: bool,
    /// The page of a trace, with `{trace_id}`.
    pub(super) trace_url: Option<String>,
}

impl Status {
    pub(super) async fn read(
        catalog: &Catalog,
        settings: &Settings,
        wanted: Wanted,
    ) -> Result<Self, CatalogError> {
        let is_all = wanted.all_failures || wanted.json;
        let limit = |some| if is_all { i64::MAX } else { some };
        let now = Utc::now();
        let policy = quarantine(&settings.sync);
        let runs = match wanted.run_id {
            Some(run_id) => {
                let run = catalog.find_run(run_id).await?;
                vec![run.ok_or(CatalogError::UnknownRun { run_id })?]
            }
            None => catalog.runs(SHOWN_RUNS).await?,
        };
        let (ways, changes, noted) = match runs.first() {
            Some(newest) => (
                catalog.ways(newest.run_id).await?,
                catalog.config_changes(newest.run_id).await?,
                catalog.noted(newest.run_id, limit(NAMED_FAILURES)).await?,
            ),
            None => Default::default(),
        };
        let sweep = last_sweep(&runs).map(|sweep| sweep.run_id);
        let failures = match sweep {
            Some(run_id) if is_all => catalog.failed_jobs(run_id, i64::MAX).await?,
            _ => Vec::new(),
        };
        let comparison = match sweep {
            Some(run_id) => catalog.compare_run(run_id).await?,
            None => None,
        };
        let of = wanted.run_id.map_or(FailuresOf::Now, FailuresOf::Run);
        let groups = catalog.failure_groups(of, policy, limit(SHOWN_REASONS));
        let (reasons, reasons_in_all) = groups.await?;
        Ok(Self {
            only: wanted.run_id,
            ways,
            changes,
            noted,
            failures,
            comparison,
            reasons,
            reasons_in_all,
            quarantined: catalog
                .quarantined_stores(policy, limit(NAMED_FAILURES))
                .await?,
            quarantined_in_all: catalog.count_quarantined(policy).await?,
            freshness: catalog.freshness(now).await?,
            service_wait: catalog.waiting_for_service(now).await?,
            workers: catalog.workers().await?,
            is_local: settings.broker.is_memory(),
            trace_url: settings.serve.trace_url.clone(),
            runs,
        })
    }

    /// For machines; `deploy/status.schema.json` describes it.
    pub(super) fn json(&self, broker: &BrokerStatus) -> Value {
        let queues = broker.queues.as_ref();
        json!({
            "runs": self.runs,
            "ways": self.ways,
            "configChanges": self.changes,
            "comparison": self.comparison,
            "notes": self.noted.iter().map(|manifest| json!({
                "store_id": manifest.store_id, "notes": manifest.notes,
            })).collect::<Vec<_>>(),
            "reasons": self.reasons,
            "failures": self.failures,
            "quarantined": self.quarantined,
            "parked": queues.map(|queues| queues.parked),
            "queue": queues.map(|queues| queues.standing),
            "untaken": queues.map(|queues| queues.standing.untaken()),
            "broker": broker.trouble_json(),
            "serviceWait": self.service_wait,
            "workers": self.workers,
            "freshness": self.freshness,
        })
    }
}

/// The newest run that is no retry of others: what it tells of is not over because some of it was tried again.
pub(super) fn last_sweep(runs: &[RunReport]) -> Option<&RunReport> {
    let is_retry = |run: &RunReport| run.kind == RunKind::Retry.name();
    runs.iter().find(|run| !is_retry(run)).or(runs.first())
}
