//! `seedbed audit`: who did what.

use chrono::Utc;

use crate::{
    catalog::AuditEntry,
    cli::{
        args::AuditArgs,
        connect::existing_catalog,
        exit::CliError,
        output::{age, lay_out, print_json, print_lines, table},
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
    let mut rows = table(&["WHEN", "WHO", "FROM", "WHAT", "OF", "OUTCOME"]);
    for entry in entries {
        let text = |of: &Option<String>, none: &str| of.as_deref().unwrap_or(none).to_owned();
        rows.add_row([
            format!("{} ago", age(now - entry.at)),
            entry.actor.clone(),
            entry.origin.clone(),
            entry.action.clone(),
            text(&entry.subject, "-"),
            text(&entry.outcome, "unknown"),
        ]);
    }
    print_lines(&lay_out(rows, &[]));
}
