//! `seedbed gc`: removes snapshots that are no longer needed.

use indicatif::{HumanBytes, HumanCount};

use crate::{
    catalog::Catalog,
    cli::{
        args::GcArgs,
        connect::{catalog_and_snapshots, record_events},
        exit::CliError,
        output::{print_json, print_lines},
    },
    settings::Settings,
    upkeep::Collector,
};

pub(in crate::cli) async fn gc(
    args: GcArgs,
    settings: &Settings,
    json: bool,
) -> Result<u8, CliError> {
    let (catalog, snapshots) = catalog_and_snapshots(settings, Catalog::open_existing).await?;
    if !settings.broker.is_memory() {
        // A snapshot whose event still waits must not be taken for an orphan.
        record_events(settings, &catalog).await?;
    }
    let collector = Collector::new(&catalog, &snapshots, &settings.retention, args.dry_run);
    let collected = collector.collect().await?;
    catalog.close().await;
    if json {
        print_json(&collected);
        return Ok(0);
    }
    let verb = if args.dry_run {
        "would remove"
    } else {
        "removed"
    };
    print_lines(&format!(
        "{verb} {} snapshots and {} unreferenced objects, {}",
        HumanCount(collected.expired),
        HumanCount(collected.orphans),
        HumanBytes(collected.bytes)
    ));
    if collected.lost > 0 {
        print_lines(&format!(
            "{} snapshots are gone from {}; run these stores again",
            HumanCount(collected.lost),
            snapshots.url()
        ));
    }
    if collected.unknown > 0 {
        print_lines(&format!(
            "{} objects are of jobs that the catalog does not know, and stay; `seedbed rebuild-catalog` takes \
             them in",
            HumanCount(collected.unknown)
        ));
    }
    Ok(0)
}
