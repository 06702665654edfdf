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
        output::{LaidOut, TABLE_ROWS, age, lay_out, print_json, print_lines, table},
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
    let mut rows = table(&[
        "STORE", "STATE", "MADE", "VERIFIED", "ROWS", "SIZE", "LAST OP", "FILE",
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
        rows.add_row([
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
    lay_out(rows, &[4, 5, 6])
}
