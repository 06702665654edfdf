//! `seedbed withdraw`: takes live snapshots back.

use seedbed_protocol::StoreId;
use serde_json::json;

use crate::{
    catalog::{Catalog, Withdrawal},
    cli::{
        args::WithdrawArgs,
        connect::{RunName, catalog_and_snapshots, record_events},
        exit::CliError,
        on_record::{deed, on_record},
        output::{counted, print_json, print_lines},
    },
    settings::Settings,
    upkeep,
};

pub(in crate::cli) async fn withdraw(
    args: WithdrawArgs,
    settings: &Settings,
    json: bool,
) -> Result<u8, CliError> {
    let run = args.run.as_deref().map(RunName::new).transpose()?;
    let store_id = args.store.map(StoreId::new).transpose()?;
    let (catalog, snapshots) = catalog_and_snapshots(settings, Catalog::open_existing).await?;
    let (which, action, subject) = match (store_id, run) {
        (Some(store_id), _) => {
            let subject = store_id.to_string();
            (Withdrawal::Store(store_id), "store.withdraw", subject)
        }
        (None, Some(run)) => {
            let run_id = run.find(&catalog).await?;
            let subject = run_id.to_string();
            (Withdrawal::Run(run_id), "run.withdraw", subject)
        }
        (None, None) => (Withdrawal::All, "snapshot.withdraw", String::new()),
    };
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
    let without = withdrawn.stores - withdrawn.earlier;
    print_lines(&format!(
        "{} withdrawn: {} the one before again, {} none until the next run",
        counted(withdrawn.stores, "snapshot"),
        having(withdrawn.earlier),
        having(without)
    ));
    Ok(0)
}

/// How many stores, as those who have something.
fn having(stores: u64) -> String {
    let verb = if stores == 1 { "has" } else { "have" };
    format!("{} {verb}", counted(stores, "store"))
}
