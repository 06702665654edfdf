//! `seedbed serve`: serves a cluster until a signal.

use seedbed_protocol::snapshots::SnapshotRepository;

use crate::{
    cli::{
        args::SourceArgs,
        connect::{ClusterParts, repeatable_store_list, stop_on_signals},
        exit::CliError,
        output::tell_addresses,
    },
    programs::{Service, ServiceParts},
    settings::Settings,
};

pub(in crate::cli) async fn serve(
    args: SourceArgs,
    settings: Settings,
    json: bool,
) -> Result<u8, CliError> {
    settings.check_cluster()?;
    settings.check_serve()?;
    let stores = repeatable_store_list(&args, &settings)?;
    let snapshots = SnapshotRepository::open(&settings.snapshots)?;
    let parts = ClusterParts::connect(&settings).await?;
    let service_parts = ServiceParts {
        catalog: parts.catalog.clone(),
        broker: parts.broker.clone(),
        snapshots,
        stores,
    };
    let service = Service::open(&settings, service_parts).await;
    let service = service.map_err(CliError::ServeStart)?;
    tell_addresses(service.address(), service.health_address(), json);
    let stop = stop_on_signals("stopping; jobs continue")?;
    let served = service.run(stop).await;
    parts.close().await;
    served?;
    Ok(0)
}
