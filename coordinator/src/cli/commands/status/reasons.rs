//! What fails and why: reasons with their stores, and the quarantine.

use chrono::{DateTime, Utc};

use super::{page::Page, read::Status};
use crate::{
    catalog::{FailureGroup, HeldBy, QuarantinedStore},
    cli::output::{age, counted, failure_line},
};

/// Before what is said of a reason behind its key.
const INDENT: &str = "  ";

pub(super) fn show(page: &mut Page, status: &Status, now: DateTime<Utc>) {
    groups(page, status, now);
    for failure in &status.failures {
        page.item("failed: ", &failure_line(failure));
    }
    let named = status.quarantined.len() as u64;
    for store in &status.quarantined {
        page.item("quarantined: ", &quarantine_line(store, now));
    }
    let unnamed = status.quarantined_in_all.saturating_sub(named);
    if unnamed > 0 {
        page.line(&format!(
            "and {} more in quarantine: seedbed status --failures",
            counted(unnamed, "store")
        ));
    }
}

fn groups(page: &mut Page, status: &Status, now: DateTime<Utc>) {
    if status.reasons.is_empty() {
        return;
    }
    let of_run = status.only.is_some();
    page.line(match of_run {
        true => "what failed in this run, by reason:",
        false => "what fails now, by reason:",
    });
    for group in &status.reasons {
        show_group(page, group, of_run, status.trace_url.as_deref(), now);
    }
    let more = (status.reasons_in_all).saturating_sub(status.reasons.len() as u64);
    if more > 0 {
        page.line(&format!(
            "and {} more: seedbed status --failures",
            counted(more, "reason")
        ));
    }
    if status.reasons.iter().any(|group| group.open > 0) {
        let first = &status.reasons[0].key;
        // Each on a line of its own: they are to be copied.
        if status.is_local {
            page.line(
                "the next `seedbed local` tries them again, but for the quarantined; at once, *Retry all* in the dashboard of \
                 `seedbed local --serve` does. To have sweeps skip all of a reason:",
            );
        } else {
            page.line("to start all of a reason over, or to have sweeps skip them:");
            page.item(INDENT, &format!("seedbed retry --reason {first}"));
        }
        page.item(INDENT, &format!("seedbed quarantine --reason {first}"));
    }
}

fn show_group(
    page: &mut Page,
    group: &FailureGroup,
    of_run: bool,
    trace_url: Option<&str>,
    now: DateTime<Utc>,
) {
    let mut about = vec![counted(group.stores, "store")];
    if of_run && group.open < group.stores {
        about.push(match group.stores - group.open {
            1 => "1 has a later job".to_owned(),
            healed => format!("{healed} have a later job"),
        });
    }
    if group.quarantined > 0 {
        about.push(format!("{} of them quarantined", group.quarantined));
    }
    let (first, last) = (now - group.first_seen, now - group.last_seen);
    about.push(match (first - last).num_seconds() == 0 {
        true => format!("{} ago", age(first)),
        false => format!("first {} ago, last {} ago", age(first), age(last)),
    });
    page.item(&format!("{}  ", group.key), &about.join(", "));
    page.item(INDENT, &group.reason);
    let Some(example) = group.examples.first() else {
        return;
    };
    let stores: Vec<&str> = group
        .examples
        .iter()
        .map(|it| it.store_id.as_str())
        .collect();
    let mut named = stores.join(", ");
    // What has nothing of its own has been said.
    if !group.reason.ends_with(&example.message) {
        named.push_str(&format!(": {}", example.message));
    }
    page.item(&format!("{INDENT}such as "), &named);
    if let Some(trace_id) = &example.trace_id {
        let trace = match trace_url {
            Some(url) => url.replace("{trace_id}", trace_id),
            None => trace_id.clone(),
        };
        page.item(&format!("{INDENT}trace "), &trace);
    }
}

/// One quarantined store, why, and when it is probed.
fn quarantine_line(store: &QuarantinedStore, now: DateTime<Utc>) -> String {
    let failing = &store.failing;
    let probe = if store.probe_at <= now {
        "the next sweep probes it".to_owned()
    } else {
        format!("probed in {}", age(store.probe_at - now))
    };
    // What a person has put there did not have to fail in so many sweeps.
    let why = match &failing.held {
        Some(held) => held_by(held, now),
        None => format!(
            "{} in a row, for {}",
            counted(failing.sweeps, "sweep"),
            age(now - failing.since)
        ),
    };
    format!("{} ({why}; {probe}): {}", store.store_id, failing.reason)
}

/// Who has quarantined a store, and when.
fn held_by(held: &HeldBy, now: DateTime<Utc>) -> String {
    let by = held.by.as_deref().unwrap_or("somebody");
    match held.at {
        Some(at) => format!("by {by}, {} ago", age(now - at)),
        None => format!("by {by}"),
    }
}
