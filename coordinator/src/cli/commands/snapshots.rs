//! `seedbed snapshots`: lists snapshots of one store or of each, live ones or all.

use chrono::{DateTime, Utc};
use futures::StreamExt;
use indicatif::{HumanBytes, HumanCount};
use seedbed_protocol::{StoreId, snapshots::SnapshotRepository};

use crate::{
    catalog::{Catalog, SnapshotRecord},
    cli::{
        args::SnapshotsArgs,
        connect::catalog_and_snapshots,
        exit::CliError,
        layout::{Sheet, width},
        output::{LaidOut, TABLE_ROWS, age, print_json, print_lines},
    },
    settings::Settings,
};

pub(in crate::cli) async fn snapshots(
    args: SnapshotsArgs,
    settings: &Settings,
    json: bool,
) -> Result<u8, CliError> {
    settings.check_catalog()?;
    let store_id = args.store.map(StoreId::new).transpose()?;
    let (catalog, snapshots) = catalog_and_snapshots(settings, Catalog::open_existing).await?;
    let now = Utc::now();
    let mut records = catalog
        .snapshots(store_id.as_ref(), args.all)
        .chunks(TABLE_ROWS);
    let mut none = true;
    while let Some(chunk) = records.next().await {
        none = false;
        let chunk: Vec<SnapshotRecord> = chunk.into_iter().collect::<Result<_, _>>()?;
        if json {
            chunk.iter().for_each(print_json);
        } else {
            print_lines(&snapshot_table(&chunk, &snapshots, now));
        }
    }
    if none && let Some(store_id) = &store_id {
        catalog.check_store(store_id).await?;
    }
    if none && !json {
        print_lines("no snapshots yet; `seedbed local` makes them");
    }
    Ok(0)
}

fn snapshot_table(
    records: &[SnapshotRecord],
    storage: &SnapshotRepository,
    now: DateTime<Utc>,
) -> LaidOut {
    let mut sheet = Sheet::new(&[
        ("STORE", 8, false),
        ("STATE", 4, false),
        ("MADE", 7, false),
        ("VERIFIED", 3, false),
        ("ROWS", 6, true),
        ("SIZE", 5, true),
        ("LAST OP", 2, true),
        ("FILE", 1, false),
    ]);
    for SnapshotRecord {
        state,
        verified_at,
        withdrawn_at,
        manifest,
    } in records
    {
        let file = manifest
            .all_renditions()
            .next()
            .map(|r| storage.location(&r.key));
        sheet.add([
            manifest.store_id.to_string(),
            if withdrawn_at.is_some() {
                "withdrawn".to_owned()
            } else {
                state.to_string()
            },
            age(now - manifest.created_at),
            age(now - *verified_at),
            HumanCount(manifest.rows()).to_string(),
            HumanBytes(manifest.bytes()).to_string(),
            manifest.checkpoint.last_op_id.to_string(),
            file.unwrap_or_default(),
        ]);
    }
    sheet.fit(width())
}
