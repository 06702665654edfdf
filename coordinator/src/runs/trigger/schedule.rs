//! Starts runs as `serve.schedule` says. Of several coordinators, the first one that claims a time starts its run.
//!
//! A coordinator that is killed after its claim and before the listing is committed loses that one run: the next
//! scheduled time starts another.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::{
    catalog::{RunKind, Sweep},
    runs::{
        control::Runs,
        list::{StoreFilter, StoreList},
    },
    settings::Schedule,
};

/// The longest wait before the clock is read again: it may be set in the meantime.
const CLOCK_CHECK: Duration = Duration::from_secs(20);

/// Between two tries at the same scheduled run.
const START_RETRY: Duration = Duration::from_secs(30);

/// Starts a run over all of `stores` at each time of `schedule`, until `stop` is cancelled.
pub async fn keep_schedule(
    schedule: &Schedule,
    runs: &Runs,
    stores: &StoreList,
    stop: &CancellationToken,
) {
    let mut after = Utc::now();
    while let Some(due) = schedule.next(after) {
        while let Ok(left) = (due - Utc::now()).to_std() {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(left.min(CLOCK_CHECK)) => {}
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = start_scheduled(schedule, runs, stores, due) => {}
        }
        // Times that passed in the meantime are skipped.
        after = Utc::now().max(due);
    }
}

/// Starts the run of `due`, unless another coordinator does. If the source or the catalog is unavailable, retries until
/// the next time.
async fn start_scheduled(schedule: &Schedule, runs: &Runs, stores: &StoreList, due: DateTime<Utc>) {
    let next = schedule.next(due);
    let mut claimed = false;
    loop {
        let started = async {
            claimed = claimed || runs.claim(due).await?;
            if !claimed {
                return Ok(None);
            }
            let (all, sweep) = (StoreFilter::default(), Sweep::all(RunKind::Schedule));
            runs.start(stores, &all, sweep).await.map(Some)
        };
        match started.await {
            Ok(Some(listed)) => {
                info!(run = ?listed.run_id, jobs = listed.jobs, "started as scheduled");
                return;
            }
            Ok(None) => return,
            Err(error) => error!("the run of {due} did not start: {error}"),
        }
        if next.is_none_or(|next| Utc::now() + START_RETRY >= next) {
            return;
        }
        tokio::time::sleep(START_RETRY).await;
    }
}
