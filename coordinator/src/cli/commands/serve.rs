//! Commands that go on until a signal: `serve`, and `local --serve`.

use std::{net::SocketAddr, time::Duration};

use seedbed_protocol::snapshots::SnapshotStore;
use serde_json::json;

use super::run::Parts;
use crate::{
    catalog::ListOptions,
    cli::progress::{Reporter, print_json},
    programs::{local::Local, serve::Service},
    settings::root::Settings,
    source::record::StoreSource,
};
use crate::{
    cli::args::{CliError, LocalArgs, SourceArgs, stop_on_signals, store_source},
    runs::control::runs as operator,
};

/// From the start of one run to the start of the next, unless somebody says otherwise.
const INTERVAL: Duration = Duration::from_secs(3_600);

/// Serves a cluster.
pub(crate) async fn cluster(
    args: SourceArgs,
    settings: Settings,
    json: bool,
) -> Result<u8, CliError> {
    settings.check_cluster()?;
    settings.check_serve()?;
    let source_is_all = args.stores.is_none();
    let source = read_again(&args, store_source(&args, &settings)?)?;
    let snapshots = SnapshotStore::open(&settings.snapshots)?;
    let parts = Parts::connect(settings).await?;
    let service = Service::open(
        &parts.settings,
        parts.catalog.clone(),
        parts.broker.clone(),
        snapshots,
        source,
        source_is_all,
    );
    let service = service.await?;
    tell_addresses(&service, json);
    let stop = stop_on_signals("stopping; jobs go on")?;
    let served = service.run(stop).await;
    parts.close().await;
    served?;
    Ok(0)
}

/// Seeds again and again in this process, and serves what it makes.
pub(crate) async fn local(
    args: LocalArgs,
    source: StoreSource,
    settings: Settings,
    json: bool,
) -> Result<u8, CliError> {
    settings.check_serve()?;
    if args.interval.is_some_and(|interval| interval.is_zero()) {
        return Err(CliError::NoInterval);
    }
    let source_is_all = args.source.stores.is_none();
    let source = read_again(&args.source, source)?;
    let options = ListOptions {
        allow_fewer: args.allow_fewer_stores,
        ..operator::options("local", true)
    };
    let scheduled = settings.serve.schedule.is_some();
    let every = args.interval.or((!scheduled).then_some(INTERVAL));
    let stop = stop_on_signals("stopping; what is in flight is abandoned")?;
    let local = Local::open(settings, Reporter::new(json)).await?;
    let service = local.listen(source, source_is_all).await?;
    tell_addresses(&service, json);
    local.serve(service, options, every, stop).await?;
    Ok(0)
}

/// A list that can be read for every run.
fn read_again(args: &SourceArgs, source: StoreSource) -> Result<StoreSource, CliError> {
    if args.stores.as_deref() == Some("-") {
        return Err(CliError::StdinTwice);
    }
    Ok(source)
}

fn tell_addresses(service: &Service, json: bool) {
    let url = |address: SocketAddr| format!("http://{address}/");
    let (dashboard, health) = (url(service.address()), service.health_address().map(url));
    if json {
        let mut event = json!({"type": "listening", "url": dashboard});
        if let Some(health) = health {
            event["health_url"] = health.into();
        }
        return print_json(&event);
    }
    eprintln!("the dashboard is at {dashboard}");
    if let Some(health) = health {
        eprintln!("probes and metrics are at {health}");
    }
}
