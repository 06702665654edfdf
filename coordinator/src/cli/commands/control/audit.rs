//! `seedbed audit`: who did what.

use chrono::Utc;

use crate::{
    catalog::AuditEntry,
    cli::{
        args::AuditArgs,
        connect::existing_catalog,
        exit::CliError,
        layout::{Sheet, width},
        output::{age, print_json, print_lines},
    },
    settings::Settings,
};

/// Entries that are read at a time.
const PAGE: u32 = 500;

pub(in crate::cli) async fn audit(
    args: AuditArgs,
    settings: &Settings,
    json: bool,
) -> Result<u8, CliError> {
    let catalog = existing_catalog(settings).await?;
    let mut left = args.limit;
    let (mut after, mut none) = (None, true);
    while left > 0 {
        let page = catalog.audit_page(args.search.as_deref(), after, left.min(PAGE));
        let (entries, next) = page.await?;
        left = left.saturating_sub(PAGE);
        none &= entries.is_empty();
        if json {
            entries.iter().for_each(print_json);
        } else if !entries.is_empty() {
            print_table(&entries);
        }
        after = next;
        if after.is_none() {
            break;
        }
    }
    if none && !json {
        print_lines("the audit log has no such entry");
    }
    catalog.close().await;
    Ok(0)
}

fn print_table(entries: &[AuditEntry]) {
    let now = Utc::now();
    let mut sheet = Sheet::new(&[
        ("WHEN", 5, false),
        ("WHO", 4, false),
        ("FROM", 1, false),
        ("WHAT", 6, false),
        ("OF", 3, false),
        ("OUTCOME", 2, false),
    ]);
    for entry in entries {
        let text = |of: &Option<String>, none: &str| of.as_deref().unwrap_or(none).to_owned();
        sheet.add([
            format!("{} ago", age(now - entry.at)),
            entry.actor.clone(),
            entry.origin.clone(),
            entry.action.clone(),
            text(&entry.subject, "-"),
            text(&entry.outcome, "unknown"),
        ]);
    }
    print_lines(&sheet.fit(width()));
}
