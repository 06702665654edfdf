//! `seedbed serve`: serves a cluster until a signal. It starts while the catalog or the broker is away.

use std::time::Duration;

use seedbed_protocol::{broker, snapshots::SnapshotRepository};
use tracing::warn;

use crate::{
    catalog::{Catalog, CatalogError},
    cli::{
        args::SourceArgs,
        connect::{ClusterParts, repeatable_store_list, stop_on_signals},
        exit::CliError,
        output::tell_addresses,
    },
    http::Listeners,
    programs::{Service, ServiceParts},
    settings::Settings,
};

/// Between two tries to open the catalog.
const CATALOG_PAUSE: Duration = Duration::from_millis(500);

pub(in crate::cli) async fn serve(
    args: SourceArgs,
    settings: Settings,
    json: bool,
) -> Result<u8, CliError> {
    settings.check_cluster()?;
    settings.check_serve()?;
    let stores = repeatable_store_list(&args, &settings)?;
    let snapshots = SnapshotRepository::open(&settings.snapshots)?;
    let stop = stop_on_signals("stopping; jobs continue")?;
    let listeners = Listeners::bind(&settings.serve).await;
    let listeners = listeners.map_err(|error| CliError::ServeStart(error.into()))?;
    let tell = || tell_addresses(&listeners.url(), listeners.health_address(), json);
    let mut is_told = false;
    let catalog = match Catalog::open(settings.catalog.url.expose()).await {
        Err(error) if error.is_transient() => {
            warn!("waiting for the catalog: {error}");
            tell();
            is_told = true;
            let waiting = listeners.wait_for(catalog_later(&settings));
            tokio::select! {
                catalog = waiting => catalog.map_err(CliError::Socket)??,
                () = stop.cancelled() => return Ok(0),
            }
        }
        opened => opened?,
    };
    // Downloads need no broker: it may come later.
    let broker = broker::start(&settings.broker)?;
    let parts = ClusterParts { catalog, broker };
    let service_parts = ServiceParts {
        catalog: parts.catalog.clone(),
        broker: parts.broker.clone(),
        snapshots,
        stores,
    };
    let service = Service::on(&listeners, &settings, service_parts).await;
    let service = service.map_err(CliError::ServeStart)?;
    drop(listeners);
    if !is_told {
        tell_addresses(&service.url(), service.health_address(), json);
    }
    let served = service.run(stop).await;
    parts.close().await;
    served?;
    Ok(0)
}

/// The catalog, as soon as it answers.
async fn catalog_later(settings: &Settings) -> Result<Catalog, CatalogError> {
    let mut told = String::new();
    loop {
        tokio::time::sleep(CATALOG_PAUSE).await;
        match Catalog::open(settings.catalog.url.expose()).await {
            Err(error) if error.is_transient() => {
                let reason = error.to_string();
                if reason != told {
                    warn!("still waiting for the catalog: {reason}");
                    told = reason;
                }
            }
            opened => return opened,
        }
    }
}
