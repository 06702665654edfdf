//! `seedbed verify`: checks a snapshot file, the live snapshot of a store, or those of a sample.

use std::path::Path;

use seedbed_protocol::{StoreId, process::FAILED, say};
use serde_json::json;

use crate::{
    catalog::Catalog,
    cli::{
        args::VerifyArgs,
        connect::catalog_and_snapshots,
        exit::CliError,
        output::{counted, print_json, print_lines},
    },
    settings::Settings,
    upkeep::{VerifiedFile, Verifier, VerifyError},
};

pub(in crate::cli) async fn verify(
    args: VerifyArgs,
    settings: &Settings,
    json: bool,
) -> Result<u8, CliError> {
    let verifier = Verifier::new(
        settings.schema.file.as_deref(),
        settings.snapshots.unreadable_rows,
    )?;
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
    if !file.exists() && StoreId::new(target).is_err() {
        return Err(VerifyError::NoSuch(target.to_owned()).into());
    }
    let verified = if file.exists() {
        vec![verifier.verify_path(file).await?]
    } else {
        let (catalog, snapshots) = catalog_and_snapshots(settings, Catalog::open_existing).await?;
        verifier.verify_store(target, &catalog, &snapshots).await?
    };
    if json {
        print_json(&json!({"ok": true, "files": verified}));
    } else {
        verified.iter().for_each(tell);
    }
    Ok(0)
}

/// Continues after a bad one, to say how many there are.
async fn verify_sample(
    verifier: &Verifier,
    count: u32,
    settings: &Settings,
    json: bool,
) -> Result<u8, CliError> {
    let (catalog, snapshots) = catalog_and_snapshots(settings, Catalog::open_existing).await?;
    let sample = catalog.sample_live(count.into()).await?;
    if sample.is_empty() {
        return Err(VerifyError::NoSnapshots.into());
    }
    let mut bad = 0;
    let mut unchecked = Vec::new();
    for manifest in &sample {
        let store = &manifest.store_id;
        match verifier.verify_snapshot(manifest, &snapshots).await {
            Ok(files) if json => print_json(&json!({"store": store, "ok": true, "files": files})),
            Ok(files) => files.iter().for_each(tell),
            // It says nothing about the snapshot.
            Err(error) if !error.is_bad() => {
                if json {
                    let error = error.to_string();
                    print_json(&json!({"store": store, "checked": false, "error": error}));
                } else {
                    say!("not checked: {store}: {error}");
                }
                unchecked.push(error);
            }
            Err(error) => {
                bad += 1;
                if json {
                    print_json(&json!({"store": store, "ok": false, "error": error.to_string()}));
                } else {
                    say!("bad: {store}: {error}");
                }
            }
        }
    }
    if !json {
        print_lines(&format!(
            "{} of {} are good",
            sample.len() - bad - unchecked.len(),
            sample.len()
        ));
    }
    match unchecked.into_iter().next() {
        _ if bad > 0 => Ok(FAILED),
        Some(error) if json => Err(error.into()),
        // It was said.
        Some(error) => Ok(CliError::from(error).exit_code()),
        None => Ok(0),
    }
}

fn tell(file: &VerifiedFile) {
    print_lines(&format!(
        "ok: {} ({} in {})",
        file.file,
        counted(file.rows(), "row"),
        counted(file.tables.len() as u64, "table")
    ));
    for rows in &file.unreadable {
        print_lines(&format!("warning: {rows}"));
    }
}
