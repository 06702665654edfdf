//! `seedbed plan`: what a fleet needs, from the catalog or from numbers.

use std::time::Duration;

use indicatif::{BinaryBytes, HumanCount};
use serde::Serialize;

use crate::{
    catalog::{Catalog, KnownFleet},
    cli::{
        args::PlanArgs,
        exit::CliError,
        layout::{Sheet, width, wrapped},
        output::{LaidOut, counted, human_time, print_event, print_lines, print_text},
    },
    settings::Settings,
    upkeep::plan::{
        ASSUMPTIONS, Assumption, FleetNumbers, Pace, Plan, Prices, Retention, SweepCost, plan,
    },
};

/// What is printed for machines.
#[derive(Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    plan: &'a Plan,
    assumptions: &'static [Assumption],
}

pub(in crate::cli) async fn command(
    args: PlanArgs,
    settings: &Settings,
    json: bool,
) -> Result<u8, CliError> {
    let numbers = FleetNumbers {
        stores: args.stores,
        rows: args.rows,
        largest: args.largest_store,
        row_bytes: args.row_bytes,
        changed_stores: args.changed_stores,
        changed_rows: args.changed_rows,
    };
    let known = match numbers.suffice() {
        true => KnownFleet::default(),
        false => read(settings).await?,
    };
    let fleet = numbers.fleet(&known).ok_or(CliError::NothingToPlan)?;
    let pace = Pace {
        every: FleetNumbers::every(args.every, &known),
        within: args.within,
        full_every: settings.sync.full_every,
        first_launches: args.first_launches as f64,
    };
    let retention = Retention {
        keep: settings.retention.keep,
        min_age: settings.retention.min_age,
    };
    let usual = Prices::default();
    let prices = Prices {
        core_hour: args.core_hour.unwrap_or(usual.core_hour),
        gib_month: args.gib_month.unwrap_or(usual.gib_month),
        thousand_puts: args.thousand_puts.unwrap_or(usual.thousand_puts),
        gib_out: args.gib_out.unwrap_or(usual.gib_out),
    };
    let cache = f64::from(settings.worker.cache_mib) * 1024.0 * 1024.0;
    let renditions = &settings.snapshots.renditions;
    let plan = plan(fleet, pace, retention, renditions, cache, prices);
    if json {
        let printed = Printed {
            plan: &plan,
            assumptions: ASSUMPTIONS,
        };
        print_event("plan", &printed);
    } else {
        print(&plan, settings, numbers.suffice());
    }
    Ok(0)
}

/// What the catalog knows.
async fn read(settings: &Settings) -> Result<KnownFleet, CliError> {
    settings.check_catalog()?;
    let catalog = Catalog::open_existing(settings.catalog.url.expose()).await?;
    let known = catalog.known_fleet().await?;
    catalog.close().await;
    Ok(known)
}

fn print(plan: &Plan, settings: &Settings, from_numbers: bool) {
    let fleet = plan.fleet;
    let source = match from_numbers {
        true => "as given",
        false => "the catalog, and what is given",
    };
    say(&format!(
        "{} with {}, {} in the largest, {:.0} bytes a row ({source})",
        of(fleet.stores, "store"),
        of(fleet.rows, "row"),
        number(fleet.largest),
        fleet.row_bytes
    ));
    say(&format!(
        "a sweep every {}, within {}: {:.1} % of the stores have changed then, and {:.1} % of their rows",
        time(plan.every),
        time(plan.within),
        fleet.changed_stores * 100.0,
        fleet.changed_rows * 100.0
    ));
    say("");
    print_lines(&sweeps(plan));
    say("");
    print_lines(&month(plan));
    say("");
    print_assumptions(plan.prices, settings);
}

/// Prints a text, wrapped.
fn say(text: &str) {
    print_text(&wrapped("", text, width()));
}

fn print_assumptions(prices: Prices, settings: &Settings) {
    say("This rests on:");
    let rests_on = |text: &str| print_text(&wrapped("  ", text, width()));
    for Assumption { what, value, unit } in ASSUMPTIONS {
        let value = (value * 100.0).round() / 100.0;
        rests_on(&format!("{what}: {value} {unit}"));
    }
    let renditions = settings.snapshots.renditions.iter();
    let renditions: Vec<String> = renditions.map(ToString::to_string).collect();
    rests_on(&format!(
        "snapshots.renditions: {}; retention.keep: {}; worker.cache_mib: {}",
        renditions.join(", "),
        settings.retention.keep,
        settings.worker.cache_mib
    ));
    rests_on(&format!(
        "prices: {} a core and hour, {} a GiB and month, {} a thousand writes, {} a GiB to devices",
        prices.core_hour, prices.gib_month, prices.thousand_puts, prices.gib_out
    ));
}

/// What the first sweep and each later one need.
fn sweeps(plan: &Plan) -> LaidOut {
    let mut sheet = Sheet::new(&[
        ("", 3, false),
        ("FIRST SWEEP", 1, true),
        ("EACH LATER ONE", 2, true),
    ]);
    let mut row = |what: &str, of: &dyn Fn(&SweepCost) -> String| {
        sheet.add([what.to_owned(), of(&plan.first), of(&plan.usual)]);
    };
    row("new snapshots", &|sweep| number(sweep.snapshots));
    row("rows downloaded", &|sweep| number(sweep.rows));
    row("streamed, decompressed", &|sweep| {
        bytes(sweep.streamed_bytes)
    });
    row("PowerSync: CPU", &|sweep| time(sweep.service_cpu));
    row("PowerSync: processes to add", &|sweep| {
        number(sweep.service_processes)
    });
    row("workers: CPU", &|sweep| time(sweep.worker_cpu));
    row("workers: cores", &|sweep| number(sweep.cores));
    row("workers: slots", &|sweep| number(sweep.slots));
    row("workers: memory", &|sweep| bytes(sweep.memory));
    row("workers: disk", &|sweep| bytes(sweep.disk));
    row("coordinator and catalog: CPU", &|sweep| {
        time(sweep.coordinator_cpu)
    });
    row("at least, for the largest store", &|sweep| {
        time(sweep.shortest)
    });
    sheet.fit(width())
}

/// What a month of later sweeps stores and costs.
fn month(plan: &Plan) -> LaidOut {
    let (storage, money) = (&plan.storage, &plan.money);
    let mut sheet = Sheet::new(&[("A MONTH", 3, false), ("", 1, false), ("COST", 2, true)]);
    let mut row = |what: &str, amount: String, cost: f64| {
        sheet.add([what.to_owned(), amount, format!("{cost:.2}")]);
    };
    let (bytes_there, copies) = (bytes(storage.bytes), storage.snapshots);
    let there = format!("{bytes_there}, {copies:.1} of each store");
    let written = format!(
        "{}, {}",
        number(storage.puts),
        bytes(storage.uploaded_bytes)
    );
    row("PowerSync, for the sweeps", String::new(), money.service);
    row(
        "workers, while there are jobs",
        String::new(),
        money.workers,
    );
    row("object storage", there, money.storage);
    row("objects written", written, money.requests);
    let downloaded = bytes(storage.downloaded_bytes);
    row("first launches", downloaded, money.downloads);
    row("together", String::new(), money.total);
    let always = money.workers_always_on;
    row("instead: workers at all times", String::new(), always);
    sheet.fit(width())
}

/// A number with its noun.
fn of(value: f64, noun: &str) -> String {
    counted(value.round() as u64, noun)
}

fn number(value: f64) -> String {
    HumanCount(value.round() as u64).to_string()
}

fn bytes(value: f64) -> String {
    // What a count of bytes cannot hold is still a number.
    match value < u64::MAX as f64 {
        true => BinaryBytes(value.round() as u64).to_string(),
        false => format!("{value:.1e} B"),
    }
}

fn time(seconds: f64) -> String {
    let shown = human_time(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
    shown.replace("day", " day")
}
