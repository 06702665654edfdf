//! `seedbed timeline`: a run in time, as a picture, in words or as JSON.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use seedbed_protocol::RunId;

use crate::{
    catalog::Catalog,
    cli::{
        args::TimelineArgs,
        connect::{RunName, existing_catalog},
        exit::CliError,
        layout::{Sheet, width, wrapped},
        output::{human_time, print_json, print_lines, print_text},
    },
    runs::progress::timeline::{self, Marked, Timeline},
    settings::Settings,
};

pub(in crate::cli) async fn timeline(
    args: TimelineArgs,
    settings: &Settings,
    json: bool,
) -> Result<u8, CliError> {
    let run = args.run.as_deref().map(RunName::new).transpose()?;
    let catalog = existing_catalog(settings).await?;
    let run = match run {
        Some(run) => run.find(&catalog).await?,
        None => newest(&catalog).await?,
    };
    let timeline = timeline::read(&catalog, run).await?;
    catalog.close().await;
    if json {
        print_json(&timeline);
    } else if io::stdout().is_terminal() {
        tell(&timeline);
    } else {
        print_text(timeline::draw(&timeline).trim_end());
    }
    Ok(0)
}

async fn newest(catalog: &Catalog) -> Result<RunId, CliError> {
    let newest = catalog.runs(1).await?;
    let newest = newest.first().ok_or(CliError::NoRuns)?;
    Ok(newest.run_id)
}

/// Nobody reads SVG on a terminal.
fn tell(timeline: &Timeline) {
    let width = width();
    print_text(&wrapped("", &timeline.bound.sentence, width));
    let mut steps = Sheet::new(&[
        ("STEP", 3, false),
        ("WAITS FOR", 1, false),
        ("TOOK", 2, true),
    ]);
    for of in &timeline.steps {
        steps.add([&*of.step, of.part.name(), &*took(of.millis)]);
    }
    if !timeline.steps.is_empty() {
        print_lines(&steps.fit(width));
    }
    for (title, jobs) in [
        ("SLOWEST", &timeline.slowest),
        ("FAILED", &timeline.failures),
    ] {
        if !jobs.is_empty() {
            print_jobs(title, jobs, width);
        }
    }
    print_lines("`seedbed timeline > run.svg` draws it");
}

fn print_jobs(title: &'static str, jobs: &[Marked], width: usize) {
    let mut rows = Sheet::new(&[
        (title, 6, false),
        ("TOOK", 5, true),
        ("STATE", 2, false),
        ("WAY", 3, false),
        ("STEP", 4, false),
        ("WORKER", 1, false),
    ]);
    for job in jobs {
        rows.add([
            &*job.store_id,
            &*took(job.millis),
            job.state.name(),
            job.way.as_deref().unwrap_or("-"),
            job.step.as_deref().unwrap_or("-"),
            &*job.worker,
        ]);
    }
    print_lines(&rows.fit(width));
}

fn took(millis: u64) -> String {
    human_time(Duration::from_millis(millis))
}
