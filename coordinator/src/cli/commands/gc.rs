//! Commands that keep catalog and snapshots in order: `gc`, `rebuild-catalog`, `verify`.

use std::path::Path;

use clap::Args;
use indicatif::{HumanBytes, HumanCount};
use seedbed_protocol::snapshots::SnapshotStore;
use serde_json::json;

use super::run::record_events;
use crate::{
    catalog::Catalog,
    cli::progress::{print_json, print_lines},
    settings::root::Settings,
    upkeep::{
        gc::Collector,
        verify::{Verified, Verifier, VerifyCommandError},
    },
};
use crate::{
    cli::args::{CliError, FAILED},
    upkeep::rebuild,
};

#[derive(Debug, Args)]
pub(crate) struct GcArgs {
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// A file, or a store's id
    #[arg(value_name = "FILE|STORE", required_unless_present = "sample")]
    target: Option<String>,
    /// Check the live snapshots of so many stores, picked at random
    #[arg(long, value_name = "N", conflicts_with = "target",
          value_parser = clap::value_parser!(u32).range(1..))]
    sample: Option<u32>,
}

pub(crate) async fn gc(args: GcArgs, settings: Settings, json: bool) -> Result<u8, CliError> {
    let (catalog, snapshots) = open(&settings, Catalog::open_existing).await?;
    if !settings.broker.is_memory() {
        // A snapshot whose event still waits must not be taken for left over.
        record_events(&settings, &catalog).await?;
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

pub(crate) async fn rebuild(settings: Settings, json: bool) -> Result<u8, CliError> {
    let (catalog, snapshots) = open(&settings, Catalog::open).await?;
    let rebuilt = rebuild::rebuild(&catalog, &snapshots).await?;
    catalog.close().await;
    if json {
        print_json(&rebuilt);
    } else {
        print_lines(&format!(
            "{} snapshots added, {} were known, {} left out because they are damaged",
            HumanCount(rebuilt.added),
            HumanCount(rebuilt.known),
            HumanCount(rebuilt.damaged)
        ));
    }
    Ok(if rebuilt.damaged == 0 { 0 } else { FAILED })
}

pub(crate) async fn verify(
    args: VerifyArgs,
    settings: &Settings,
    json: bool,
) -> Result<u8, CliError> {
    let verifier = Verifier::new(settings.schema.file.as_deref())?;
    match (args.target, args.sample) {
        (Some(target), _) => verify_one(&verifier, &target, settings, json).await,
        (None, sample) => verify_sample(&verifier, sample.unwrap_or(1), settings, json).await,
    }
}

async fn verify_one(
    verifier: &Verifier,
    target: &str,
    settings: &Settings,
    json: bool,
) -> Result<u8, CliError> {
    let file = Path::new(target);
    let verified = if file.exists() {
        vec![verifier.verify_path(file).await?]
    } else {
        let (catalog, snapshots) = open(settings, Catalog::open_existing).await?;
        verifier.verify_store(target, &catalog, &snapshots).await?
    };
    if json {
        print_json(&json!({"ok": true, "files": verified}));
    } else {
        verified.iter().for_each(tell);
    }
    Ok(0)
}

/// Goes on after a bad one: how many there are is what one wants to know.
async fn verify_sample(
    verifier: &Verifier,
    count: u32,
    settings: &Settings,
    json: bool,
) -> Result<u8, CliError> {
    let (catalog, snapshots) = open(settings, Catalog::open_existing).await?;
    let sample = catalog.sample_live(count.into()).await?;
    if sample.is_empty() {
        return Err(VerifyCommandError::NoSnapshots.into());
    }
    let mut bad = 0;
    for manifest in &sample {
        let store = &manifest.store_id;
        match verifier.verify_snapshot(manifest, &snapshots).await {
            Ok(files) if json => print_json(&json!({"store": store, "ok": true, "files": files})),
            Ok(files) => files.iter().for_each(tell),
            Err(error) => {
                bad += 1;
                if json {
                    print_json(&json!({"store": store, "ok": false, "error": error.to_string()}));
                } else {
                    eprintln!("bad: {store}: {error}");
                }
            }
        }
    }
    if !json {
        print_lines(&format!(
            "{} of {} are good",
            sample.len() - bad,
            sample.len()
        ));
    }
    Ok(if bad == 0 { 0 } else { FAILED })
}

fn tell(file: &Verified) {
    print_lines(&format!(
        "ok: {} ({} rows in {} tables)",
        file.file,
        file.rows(),
        file.tables.len()
    ));
}

async fn open<'a, F>(
    settings: &'a Settings,
    open_catalog: impl FnOnce(&'a str) -> F,
) -> Result<(Catalog, SnapshotStore), CliError>
where
    F: Future<Output = Result<Catalog, crate::catalog::CatalogError>>,
{
    settings.check_catalog()?;
    // First, since opening the other one makes its directory, which is of no use without a catalog.
    let catalog = open_catalog(settings.catalog.url.expose()).await?;
    let snapshots = SnapshotStore::open(&settings.snapshots)?;
    Ok((catalog, snapshots))
}
