//! `seedbed forget` and `seedbed allow`: removes everything of a store, and lets it be seeded again.

use std::sync::Arc;

use seedbed_protocol::{
    StoreId,
    broker::{Broker, MemoryBroker},
    say,
};
use serde_json::{Value, json};

use crate::{
    catalog::Catalog,
    cli::{
        args::StoreArgs,
        connect::{broker_soon, catalog_and_snapshots, existing_catalog},
        exit::CliError,
        on_record::{deed, on_record},
        output::{counted, print_json, print_lines},
    },
    programs::late_uploads,
    runs::{self, RunError, StoreForgotten},
    settings::Settings,
};

pub(in crate::cli) async fn forget(
    args: StoreArgs,
    settings: &Settings,
    json: bool,
) -> Result<u8, CliError> {
    let store_id = StoreId::new(args.store)?;
    let (catalog, snapshots) = catalog_and_snapshots(settings, Catalog::open_existing).await?;
    let broker: Arc<dyn Broker> = match settings.broker.is_memory() {
        // The queue of `seedbed local` is in its process: what its worker makes is removed afterwards.
        true => Arc::new(MemoryBroker::default()),
        false => broker_soon(settings).await?,
    };
    let deed = deed("store.forget", store_id.to_string(), &Value::Null);
    let watch = late_uploads(&settings.worker);
    let forgetting = async {
        let forgetting = runs::forget(&catalog, broker.as_ref(), &snapshots, &store_id, watch);
        forgetting.await.map_err(|error| match error {
            RunError::Catalog(error) => error.into(),
            error => CliError::from(crate::programs::ClusterError::Run(error)),
        })
    };
    let forgotten = on_record(&catalog, deed, forgetting).await?;
    broker.close().await;
    catalog.close().await;
    if json {
        print_json(&forgotten);
    } else {
        tell(&store_id, &forgotten);
    }
    Ok(0)
}

fn tell(store_id: &StoreId, forgotten: &StoreForgotten) {
    let rows = &forgotten.rows;
    print_lines(&format!(
        "{store_id} is forgotten: {}, {}, {}, {} and {} are removed",
        counted(forgotten.objects, "object"),
        counted(rows.snapshots, "snapshot"),
        counted(rows.jobs, "job"),
        counted(rows.reports, "report"),
        counted(forgotten.messages, "waiting message")
    ));
    if rows.in_flight > 0 {
        print_lines(
            "a job of it was in flight: what that still uploads is removed by `seedbed serve` and `seedbed gc`",
        );
    }
    if let Some(left) = &forgotten.left {
        say!(
            "some of it is left ({left}); `seedbed serve` removes it later, and so does the same command again"
        );
    }
    print_lines("no list has it until `seedbed allow`. What Seedbed cannot reach:");
    for place in &forgotten.out_of_reach {
        print_lines(&format!("- {place}"));
    }
}

pub(in crate::cli) async fn allow(
    args: StoreArgs,
    settings: &Settings,
    json: bool,
) -> Result<u8, CliError> {
    let store_id = StoreId::new(args.store)?;
    let catalog = existing_catalog(settings).await?;
    let deed = deed("store.allow", store_id.to_string(), &Value::Null);
    let allowed = on_record(&catalog, deed, catalog.allow_store(&store_id)).await?;
    catalog.close().await;
    if json {
        print_json(&json!({"allowed": allowed}));
    } else if allowed {
        print_lines(&format!(
            "{store_id} is in lists again; the next run seeds it"
        ));
    } else {
        print_lines(&format!("{store_id} was not forgotten"));
    }
    Ok(0)
}
