//! `seedbed rebuild-catalog`: takes every snapshot whose manifest is in the object storage into the catalog.

use indicatif::HumanCount;
use seedbed_protocol::process::FAILED;
use serde_json::Value;

use crate::{
    catalog::Catalog,
    cli::{
        connect::catalog_and_snapshots,
        exit::CliError,
        on_record::{deed, on_record},
        output::{counted, print_json, print_lines},
    },
    settings::Settings,
    upkeep,
};

pub(in crate::cli) async fn rebuild(settings: &Settings, json: bool) -> Result<u8, CliError> {
    let (catalog, snapshots) = catalog_and_snapshots(settings, Catalog::open).await?;
    let deed = deed("catalog.rebuild", "", &Value::Null);
    let rebuilding = upkeep::rebuild(&catalog, &snapshots);
    let rebuilt = on_record(&catalog, deed, rebuilding).await?;
    catalog.close().await;
    if json {
        print_json(&rebuilt);
    } else {
        print_lines(&format!(
            "{} added, {} known before, {} left out as damaged",
            counted(rebuilt.added, "snapshot"),
            HumanCount(rebuilt.known),
            HumanCount(rebuilt.damaged)
        ));
    }
    Ok(if rebuilt.damaged == 0 { 0 } else { FAILED })
}
