//! Starts runs as `serve.schedule` says. Of several coordinators, the first one that claims a time starts its run.
//!
//! The clock is the catalog's, which all coordinators share. A claim is a lease: a coordinator that is killed after its
//! claim and before the listing is committed lets it run out, and another one, or the same after its restart, takes it
//! over. So does a listing that failed: it is tried again until it succeeds or the next scheduled time is claimed.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::{
    catalog::{RunKind, ScheduleClaim, Sweep},
    runs::{
        control::Runs,
        error::RunError,
        list::{StoreFilter, StoreList},
    },
    settings::Schedule,
};

/// The longest wait before the clock is read again, and before claims that nobody holds are looked for.
const CLOCK_CHECK: Duration = Duration::from_secs(5);

/// How long a claim lasts if it is not renewed. It is also the pause before a listing that failed is tried again.
const LEASE: Duration = Duration::from_secs(15);

/// Starts a run over all of `stores` at each time of `schedule`, until `stop` is cancelled.
pub async fn keep_schedule(
    schedule: &Schedule,
    runs: &Runs,
    stores: &StoreList,
    stop: &CancellationToken,
) {
    let mut next = None;
    loop {
        let pause = tokio::select! {
            () = stop.cancelled() => return,
            pause = check(schedule, &mut next, runs, stores) => pause,
        };
        let pause = pause.unwrap_or_else(|error| {
            warn!("the schedule is checked later: {error}");
            CLOCK_CHECK
        });
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Starts the run that is due or left over, if there is one. Returns how long there is none.
async fn check(
    schedule: &Schedule,
    next: &mut Option<DateTime<Utc>>,
    runs: &Runs,
    stores: &StoreList,
) -> Result<Duration, RunError> {
    let now = runs.now().await?;
    let due = *next.get_or_insert_with(|| schedule.next(now).unwrap_or(DateTime::<Utc>::MAX_UTC));
    let mut claim = None;
    if due <= now {
        // Times that passed in the meantime are skipped.
        *next = None;
        claim = runs.claim(due, LEASE).await?;
    }
    if claim.is_none() {
        claim = runs.take_over_claim(LEASE).await?;
        if let Some(claim) = &claim {
            info!(due = %claim.due(), "taking over a scheduled run that nobody is listing any more");
        }
    }
    if let Some(claim) = claim {
        start(&claim, runs, stores).await;
    }
    let left = next.map(|next| next - now);
    let left = left.and_then(|left| left.to_std().ok());
    Ok(left.unwrap_or_default().min(CLOCK_CHECK))
}

/// Lists the run of `claim`. If that fails, the claim runs out, and it is tried again.
async fn start(claim: &ScheduleClaim, runs: &Runs, stores: &StoreList) {
    let sweep = Sweep::all(RunKind::Schedule);
    let all = StoreFilter::default();
    let listed = tokio::select! {
        listed = runs.start_claimed(stores, &all, sweep, claim) => listed,
        () = until_lost(claim, runs) => {
            warn!(due = %claim.due(), "another coordinator lists the scheduled run");
            return;
        }
    };
    match listed {
        Ok(listed) => {
            info!(run = ?listed.run_id, jobs = listed.jobs, "started as scheduled");
        }
        Err(error) => error!(
            "the run of {} did not start, and is tried again: {error}",
            claim.due()
        ),
    }
}

/// Renews the lease of `claim` until another coordinator has it.
async fn until_lost(claim: &ScheduleClaim, runs: &Runs) {
    loop {
        tokio::time::sleep(LEASE / 3).await;
        match runs.renew_claim(claim, LEASE).await {
            Ok(true) => {}
            Ok(false) => return,
            // In SQLite, a listing holds the only connection that writes; nobody else can take the claim then.
            Err(error) => debug!("cannot renew the claim: {error}"),
        }
    }
}
