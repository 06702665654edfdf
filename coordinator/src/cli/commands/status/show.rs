//! What people see of `seedbed status`. What is as it should be has one line, or none.

use chrono::Utc;
use indicatif::HumanCount;
use seedbed_protocol::{
    broker::{Queue, Trouble},
    manifest::{FullReason, Way},
};

use super::{
    broker::{BrokerStatus, Queues},
    page::Page,
    read::Status,
    reasons, tables,
};
use crate::{
    catalog::{
        ConfigChange, Freshness, RunComparison, RunReport, ServiceWait, WayCount, WorkerRecord,
    },
    cli::output::{age, counted, human_time},
    runs::{Parked, Standing, Untaken},
};

/// Everything, in lines no wider than `width`.
pub(super) fn show(status: &Status, broker: &BrokerStatus, width: usize) -> String {
    let mut page = Page::new(width);
    if let Some(trouble @ (Trouble::Blocked { .. } | Trouble::Refused { .. })) = &broker.trouble {
        page.line(&trouble.to_string());
    }
    if status.runs.is_empty() {
        page.line("no runs yet; `seedbed local` or `seedbed run` starts one");
        return page.finish();
    }
    page.table(&tables::runs(&status.runs, width));
    ways(&mut page, status);
    if let Some(comparison) = &status.comparison {
        beside(&mut page, comparison, status);
    }
    if status.only.is_none() {
        page.line(&freshness_line(&status.freshness));
    }
    wait_for_service(&mut page, &status.service_wait);
    for manifest in &status.noted {
        for note in &manifest.notes.0 {
            page.item("note: ", &format!("{}: {note}", manifest.store_id));
        }
    }
    reasons::show(&mut page, status, Utc::now());
    if let Some(Queues { parked, standing }) = &broker.queues {
        workers(&mut page, &status.workers, *standing);
        parked_messages(&mut page, *parked);
    }
    page.finish()
}

/// How the jobs of the newest run went. What a changed service has all of them do is one sentence.
fn ways(page: &mut Page, status: &Status) {
    let is = |way: &WayCount, reason: FullReason| way.why.as_deref() == Some(reason.name());
    let told_apart = |way: &&WayCount| {
        let is_told = is(way, FullReason::Config) && !status.changes.is_empty();
        !is_told && !is(way, FullReason::Changed)
    };
    let shown: Vec<String> = status
        .ways
        .iter()
        .filter(told_apart)
        .map(way_count)
        .collect();
    if !shown.is_empty() {
        let which = match status.only {
            Some(_) => "jobs of this run",
            None => "jobs of the newest run",
        };
        page.line(&format!("{which}: {}", shown.join(", ")));
    }
    for ConfigChange { from, to, stores } in &status.changes {
        page.line(&format!(
            "sync config changed: {from} \u{2192} {to}; {} downloaded in full",
            with_verb(*stores, "store", "is", "are")
        ));
    }
    if let Some(changed) = status.ways.iter().find(|way| is(way, FullReason::Changed)) {
        page.line(&format!(
            "so much has changed, or the service was set up anew, that {} downloaded in full",
            with_verb(changed.jobs, "store", "is", "are")
        ));
    }
}

fn way_count(WayCount { way, why, jobs }: &WayCount) -> String {
    let jobs = HumanCount(*jobs);
    match why {
        Some(why) if way == Way::Full(FullReason::Off).name() => {
            format!("{jobs} {way} ({})", why.replace('_', " "))
        }
        _ => format!("{jobs} {way}"),
    }
}

/// The newest sweep, or the run that was asked for, beside the one before; in detail if it was asked for.
fn beside(page: &mut Page, comparison: &RunComparison, status: &Status) {
    let RunComparison {
        new_failures,
        healed,
        slower,
        ..
    } = comparison;
    let in_detail = status.only.is_some();
    if !comparison.tells() && !in_detail {
        return;
    }
    let mut parts = vec![
        counted(*new_failures, "new failure"),
        format!("{healed} healed"),
        format!("{slower} slower"),
    ];
    if comparison.still_failing > 0 {
        parts.push(format!("{} still failing", comparison.still_failing));
    }
    let took = |run: Option<&RunReport>| run.and_then(|run| run.seconds);
    if let (Some(now), Some(before)) = (took(status.runs.first()), comparison.before_seconds)
        && in_detail
    {
        parts.push(format!("took {}, {} before", shown(now), shown(before)));
    }
    let before = comparison.before.get(..13).unwrap_or(&comparison.before);
    page.line(&format!(
        "beside the run before ({before}): {}",
        parts.join(", ")
    ));
    if !in_detail {
        return;
    }
    let failed = comparison.newly_failed.iter().map(|it| match &it.key {
        Some(key) => format!("{} ({key})", it.store_id),
        None => it.store_id.clone(),
    });
    named(page, "  fail since: ", failed, *new_failures);
    named(
        page,
        "  work again: ",
        comparison.healed_stores.iter().cloned(),
        *healed,
    );
    let slowest = comparison.slowest.iter().map(|it| {
        let (now, before) = (shown(it.seconds), shown(it.before_seconds));
        format!("{} ({now}, {before} before)", it.store_id)
    });
    named(page, "  slower: ", slowest, *slower);
}

fn shown(seconds: f64) -> String {
    human_time(std::time::Duration::from_secs_f64(seconds))
}

/// Some of `all`, by name.
fn named(page: &mut Page, first: &str, some: impl Iterator<Item = String>, all: u64) {
    let mut some: Vec<String> = some.collect();
    if some.is_empty() {
        return;
    }
    let more = all.saturating_sub(some.len() as u64);
    if more > 0 {
        some.push(format!("and {} more", HumanCount(more)));
    }
    page.item(first, &some.join(", "));
}

/// How many stores have a snapshot of which age.
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
        "snapshots of {}: {}",
        counted(freshness.stores(), "store"),
        shown.join(", ")
    )
}

/// Stores that the service has no stream for, in the queue or for a moment in a worker's slot.
fn wait_sentence(wait: &ServiceWait) -> Option<String> {
    let why = "since the service has as many streams open as it allows (429)";
    let next = match wait.next_at {
        Some(at) => format!("; the next try is in {}", age(at - Utc::now())),
        None => String::new(),
    };
    let queued = || with_verb(wait.stores, "store", "waits", "wait");
    let running = || with_verb(wait.running, "running job", "waits", "wait");
    Some(match (wait.stores, wait.running) {
        (0, 0) => return None,
        (0, _) => format!("{} {why}", running()),
        (_, 0) => format!("{} {why}{next}", queued()),
        _ => format!("{} {why}{next}; {}, too", queued(), running()),
    })
}

fn wait_for_service(page: &mut Page, wait: &ServiceWait) {
    if let Some(sentence) = wait_sentence(wait) {
        page.line(&sentence);
    }
}

fn workers(page: &mut Page, workers: &[WorkerRecord], standing: Standing) {
    let slots: u64 = workers.iter().map(|worker| worker.slots).sum();
    let busy: u64 = workers.iter().map(|worker| worker.busy).sum();
    page.line(&match workers.len() {
        0 => "workers: none has said that it is there".to_owned(),
        workers => format!(
            "workers: {workers}, with {}, {busy} busy",
            counted(slots, "slot")
        ),
    });
    match (standing.untaken(), workers.len()) {
        (Untaken(0), _) => {}
        (untaken, 0) => page.line(&format!("{untaken}: start seedbed-worker")),
        (untaken, _) => page.line(&format!("{untaken}: look at the workers' logs")),
    }
}

fn parked_messages(page: &mut Page, parked: Parked) {
    let Parked {
        jobs,
        messages,
        events,
    } = parked;
    if jobs > 0 {
        let over = if jobs == 1 { "it" } else { "them" };
        page.line(&format!(
            "parked jobs: {} (seedbed retry starts {over} over)",
            HumanCount(jobs)
        ));
    }
    for (count, queue) in [(messages, Queue::ParkedJobs), (events, Queue::ParkedEvents)] {
        if count > 0 {
            page.line(&format!(
                "messages in {queue}: {} (what stays there cannot be read: update Seedbed, or purge the queue)",
                HumanCount(count)
            ));
        }
    }
}

/// A number with its noun and verb: `1 store is`, `2 stores are`.
fn with_verb(number: u64, noun: &str, one: &str, many: &str) -> String {
    let verb = if number == 1 { one } else { many };
    format!("{} {verb}", counted(number, noun))
}
