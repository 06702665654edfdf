//! `seedbed run`: seeds the stores by the workers of a cluster.

use indicatif::HumanCount;
use seedbed_protocol::{StoreId, process::FAILED, say};
use serde_json::{Map, Value};

use crate::{
    catalog::{Listed, RunKind, Sweep},
    cli::{
        args::RunArgs,
        connect::{LEAVING, store_list},
        exit::CliError,
        on_record::{deed, on_record},
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
    let asked = asked(&args);
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
    let deed = deed("run.start", "", &asked);
    let listing = patience.wait_for("the list of stores", list);
    let listed = on_record(&parts.catalog, deed, listing).await?;
    let stop = patience.stop_with(LEAVING);
    tell_listed(&listed, json);
    if listed.nothing_but_quarantined {
        parts.close().await;
        return Ok(FAILED);
    }
    let awaited = cluster.publish_listed(&listed, &stop).await?;
    parts.follow(&cluster, &awaited, args.no_wait, stop).await
}

/// What the run was asked to be, for the audit log.
fn asked(args: &RunArgs) -> Value {
    let older = args
        .only_older_than
        .map(|age| humantime::format_duration(age).to_string());
    let all = [
        ("file", args.source.stores.clone().map(Value::from)),
        (
            "stores",
            (!args.only.is_empty()).then(|| args.only.clone().into()),
        ),
        ("limit", args.limit.map(Value::from)),
        ("onlyOlderThan", older.map(Value::from)),
        (
            "allowFewerStores",
            args.allow_fewer_stores.then_some(true.into()),
        ),
        ("full", args.full.then_some(true.into())),
        ("all", args.all.then_some(true.into())),
    ];
    let given = all
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(given.collect::<Map<_, _>>())
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
        (
            listed.forgotten,
            "are left out, since they are forgotten (`seedbed allow`)",
        ),
    ] {
        if count > 0 {
            say!("{} stores {what}", HumanCount(count));
        }
    }
}
