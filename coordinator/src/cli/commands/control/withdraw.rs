//! `seedbed withdraw`: takes live snapshots back.

use indicatif::HumanCount;
use seedbed_protocol::StoreId;
use serde_json::json;

use crate::{
    catalog::{Catalog, Withdrawal},
    cli::{
        args::WithdrawArgs,
        connect::{catalog_and_snapshots, record_events, run_id},
        exit::CliError,
        on_record::{deed, on_record},
        output::{print_json, print_lines},
    },
    settings::Settings,
    upkeep,
};

pub(in crate::cli) async fn withdraw(
    args: WithdrawArgs,
    settings: &Settings,
    json: bool,
) -> Result<u8, CliError> {
    let (which, action, subject) = match (args.store, args.run) {
        (Some(store), _) => {
            let store_id = StoreId::new(store)?;
            let subject = store_id.to_string();
            (Withdrawal::Store(store_id), "store.withdraw", subject)
        }
        (None, Some(run)) => (Withdrawal::Run(run_id(&run)?), "run.withdraw", run),
        (None, None) => (Withdrawal::All, "snapshot.withdraw", String::new()),
    };
    let (catalog, snapshots) = catalog_and_snapshots(settings, Catalog::open_existing).await?;
    let asked = json!({"all": args.all});
    let withdrawing = async {
        if !settings.broker.is_memory() {
            // What a worker has reported and nobody recorded is meant as well. Without a broker, it is not.
            if let Err(error) = record_events(settings, &catalog).await {
                tracing::warn!("what workers have reported by now is recorded later: {error}");
            }
        }
        let withdrawn = upkeep::withdraw(&catalog, &snapshots, &which).await?;
        Ok::<_, CliError>(withdrawn)
    };
    let withdrawn = on_record(&catalog, deed(action, subject, &asked), withdrawing).await?;
    catalog.close().await;
    if json {
        print_json(&withdrawn);
        return Ok(0);
    }
    print_lines(&format!(
        "{} snapshots are withdrawn: {} stores have the one before again, {} have none until the next run",
        HumanCount(withdrawn.stores),
        HumanCount(withdrawn.earlier),
        HumanCount(withdrawn.stores - withdrawn.earlier)
    ));
    Ok(0)
}
