//! `seedbed gc`: removes snapshots that are no longer needed.

use indicatif::{HumanBytes, HumanCount};
use seedbed_worker::buckets::{self, CollectedBuckets};
use serde::Serialize;
use serde_json::Value;

use crate::{
    catalog::{Catalog, Forgotten},
    cli::{
        args::GcArgs,
        connect::{catalog_and_snapshots, record_events},
        exit::CliError,
        on_record::{deed, on_record},
        output::{print_json, print_lines},
    },
    settings::Settings,
    upkeep::{Collected, Collector, GcError, Keep, forget},
};

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    collected: Collected,
    forgotten: Forgotten,
    buckets: CollectedBuckets,
}

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
    let of_cache = buckets::Keep {
        age: settings.buckets.keep,
        bytes: u64::from(settings.buckets.stored_mib) << 20,
        unnamed: settings.retention.orphan_age,
    };
    let keep = Keep {
        history: settings.catalog.keep_history,
        reports: settings.reports.keep,
        audit: settings.catalog.keep_audit,
    };
    let collector = Collector::new(&catalog, &snapshots, &settings.retention, args.dry_run);
    let collecting = async {
        let collected = collector.collect().await?;
        let forgotten = forget(&catalog, keep, args.dry_run).await?;
        let now = catalog.now().await?;
        let of_buckets = buckets::collect(&snapshots, of_cache, now, args.dry_run).await;
        Ok::<_, CliError>((collected, forgotten, of_buckets.map_err(GcError::from)?))
    };
    let (collected, forgotten, of_buckets) = match args.dry_run {
        true => collecting.await?,
        false => on_record(&catalog, deed("gc", "", &Value::Null), collecting).await?,
    };
    catalog.close().await;
    if json {
        print_json(&Report {
            collected,
            forgotten,
            buckets: of_buckets,
        });
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
    if of_buckets.objects > 0 {
        print_lines(&format!(
            "{verb} {} objects of the bucket cache, {}",
            HumanCount(of_buckets.objects),
            HumanBytes(of_buckets.bytes)
        ));
    }
    if forgotten != Forgotten::default() {
        print_lines(&format!(
            "{verb} {} jobs, {} runs, {} retired stores, {} reports of first launches and {} entries of the audit log from the catalog",
            HumanCount(forgotten.jobs),
            HumanCount(forgotten.runs),
            HumanCount(forgotten.stores),
            HumanCount(forgotten.reports),
            HumanCount(forgotten.audit)
        ));
    }
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
