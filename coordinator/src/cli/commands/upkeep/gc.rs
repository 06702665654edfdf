//! `seedbed gc`: removes snapshots that are no longer needed.

use indicatif::HumanBytes;
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
        output::{counted, counted_as, print_json, print_lines},
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
        "{verb} {} and {}, {}",
        counted(collected.expired, "snapshot"),
        counted(collected.orphans, "unreferenced object"),
        HumanBytes(collected.bytes)
    ));
    if of_buckets.objects > 0 {
        print_lines(&format!(
            "{verb} {} of the bucket cache, {}",
            counted(of_buckets.objects, "object"),
            HumanBytes(of_buckets.bytes)
        ));
    }
    if forgotten != Forgotten::default() {
        print_lines(&format!(
            "{verb} {}, {}, {}, {} of first launches and {} of the audit log from the catalog",
            counted(forgotten.jobs, "job"),
            counted(forgotten.runs, "run"),
            counted(forgotten.stores, "retired store"),
            counted(forgotten.reports, "report"),
            counted_as(forgotten.audit, "entry", "entries")
        ));
    }
    if collected.lost > 0 {
        print_lines(&format!(
            "{} gone from {}; run their stores again",
            counted(collected.lost, "snapshot"),
            snapshots.url()
        ));
    }
    if collected.unknown > 0 {
        print_lines(&format!(
            "{} of jobs that the catalog does not know: left there; `seedbed rebuild-catalog` takes what is whole in",
            counted(collected.unknown, "object")
        ));
    }
    Ok(0)
}
