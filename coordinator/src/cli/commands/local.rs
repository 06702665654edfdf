//! `seedbed local`: seeds every store in this process, once or again and again.

use std::time::Duration;

use seedbed_protocol::{
    process::{FAILED, INTERRUPTED},
    say,
};
use serde_json::json;

use crate::{
    catalog::{InFlight, RunKind, Sweep},
    cli::{
        args::LocalArgs,
        connect::{repeatable_store_list, stop_on_signals, store_list},
        exit::CliError,
        on_record::{deed, on_record},
        output::tell_addresses,
        progress::ProgressPrinter,
    },
    programs::{Local, LocalOutcome},
    settings::Settings,
};

/// From the start of one run to the start of the next, without `--interval` and `serve.schedule`.
const INTERVAL: Duration = Duration::from_secs(3_600);

/// What the first signal is answered with.
const STOPPING: &str = "stopping; what is in flight is abandoned";

pub(in crate::cli) async fn local(
    args: LocalArgs,
    mut settings: Settings,
    json: bool,
) -> Result<u8, CliError> {
    if let Some(slots) = args.slots {
        settings.worker.slots = Some(slots);
    }
    settings.check_local()?;
    if args.serve {
        return serve(args, settings, json).await;
    }
    let stores = store_list(&args.source, &settings)?;
    let sweep = Sweep {
        in_flight: InFlight::Refuse,
        allow_fewer: args.allow_fewer_stores,
        ..Sweep::all(RunKind::Local).asking_for(args.full, args.all)
    };
    let stop = stop_on_signals(STOPPING)?;
    let local = open(settings, json).await?;
    let asked =
        json!({"local": true, "file": args.source.stores, "full": args.full, "all": args.all});
    let started = async { Ok::<_, CliError>(()) };
    on_record(local.catalog(), deed("run.start", "", &asked), started).await?;
    Ok(match local.seed(&stores, sweep, stop).await? {
        LocalOutcome::Finished(summary) if summary.totals.all_well() => 0,
        LocalOutcome::Finished(_) => FAILED,
        LocalOutcome::AllQuarantined => {
            if !json {
                say!("every store is quarantined; `seedbed status` says why");
            }
            FAILED
        }
        LocalOutcome::NothingToDo => {
            if !json {
                say!("no store needs a new job");
            }
            0
        }
        LocalOutcome::Interrupted => INTERRUPTED,
    })
}

/// Everything that `settings` name, for this process.
async fn open(settings: Settings, json: bool) -> Result<Local, CliError> {
    let opened = Local::open(settings, ProgressPrinter::observer(json)).await;
    opened.map_err(CliError::LocalStart)
}

/// `local --serve`: seeds again and again, and answers requests.
async fn serve(args: LocalArgs, settings: Settings, json: bool) -> Result<u8, CliError> {
    settings.check_serve()?;
    if args.interval.is_some_and(|interval| interval.is_zero()) {
        return Err(CliError::NoInterval);
    }
    let stores = repeatable_store_list(&args.source, &settings)?;
    let sweep = Sweep {
        allow_fewer: args.allow_fewer_stores,
        ..Sweep::all(RunKind::Local)
    };
    let scheduled = settings.serve.schedule.is_some();
    let every = args.interval.or((!scheduled).then_some(INTERVAL));
    let stop = stop_on_signals(STOPPING)?;
    let local = open(settings, json).await?;
    let asked = json!({"local": true, "serve": true, "file": args.source.stores});
    let started = async { Ok::<_, CliError>(()) };
    on_record(local.catalog(), deed("run.start", "", &asked), started).await?;
    let service = local.listen(stores.clone()).await;
    let service = service.map_err(CliError::LocalStart)?;
    tell_addresses(&service.url(), service.health_address(), json);
    local.serve(service, &stores, sweep, every, stop).await?;
    Ok(0)
}
