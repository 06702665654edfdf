//! `seedbed run`: seeds the stores by the workers of a cluster.

use indicatif::HumanCount;
use seedbed_protocol::{StoreId, process::FAILED, say};

use crate::{
    catalog::{Listed, RunKind, Sweep},
    cli::{
        args::RunArgs,
        connect::{LEAVING, store_list},
        exit::CliError,
        output::print_event,
        patience::Patience,
    },
    runs::StoreFilter,
    settings::Settings,
};

pub(in crate::cli) async fn run(
    args: RunArgs,
    settings: Settings,
    json: bool,
) -> Result<u8, CliError> {
    settings.check_cluster()?;
    let stores = store_list(&args.source, &settings)?;
    let only = args.only.into_iter().map(StoreId::new);
    let filter = StoreFilter {
        stores: only.collect::<Result<_, _>>()?,
        limit: args.limit,
        skip_unknown: false,
    };
    let sweep = Sweep {
        only_older_than: args.only_older_than,
        allow_fewer: args.allow_fewer_stores,
        ..Sweep::all(RunKind::Run).asking_for(args.full, args.all)
    };
    let mut patience = Patience::new(&settings, json)?;
    let parts = patience.connect(&settings).await?;
    patience.objects(&settings.snapshots).await?;
    let cluster = parts.cluster(&settings, json)?;
    let list = async || cluster.list(&stores, &filter, sweep).await;
    let listed = patience.wait_for("the list of stores", list).await?;
    let stop = patience.stop_with(LEAVING);
    tell_listed(&listed, json);
    if listed.nothing_but_quarantined {
        parts.close().await;
        return Ok(FAILED);
    }
    let awaited = cluster.publish_listed(&listed, &stop).await?;
    parts.follow(&cluster, &awaited, args.no_wait, stop).await
}

fn tell_listed(listed: &Listed, json: bool) {
    if json {
        return print_event("listed", listed);
    }
    match listed.run_id {
        Some(run_id) => say!("run {run_id}: {} stores", HumanCount(listed.jobs)),
        None => say!("no store needs a new job"),
    }
    for (count, what) in [
        (listed.in_flight, "are being seeded already"),
        (listed.fresh, "have a snapshot that is young enough"),
        (listed.retired, "are no longer in the source, and retired"),
        (
            listed.added,
            "start over, since their last job did not succeed",
        ),
        (
            listed.quarantined,
            "are quarantined, since they kept failing: `seedbed status` names them",
        ),
    ] {
        if count > 0 {
            say!("{} stores {what}", HumanCount(count));
        }
    }
}
