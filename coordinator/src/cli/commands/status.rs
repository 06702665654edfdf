//! `seedbed status`: the last runs or one of them, what fails and why, how fresh the snapshots are, and what is quarantined or
//! parked; once, or for as long as a run takes (`watch`).

mod broker;
mod page;
mod read;
mod reasons;
mod show;
mod tables;
mod watch;

use self::{broker::BrokerLink, read::Status, show::show};
use crate::{
    catalog::{Catalog, CatalogError, JobFilter},
    cli::{
        args::StatusArgs,
        connect::{RunName, existing_catalog},
        exit::CliError,
        layout::width,
        output::{TABLE_ROWS, print_json, print_lines, print_text},
    },
    settings::Settings,
};

pub(in crate::cli) async fn status(
    args: StatusArgs,
    settings: &Settings,
    json: bool,
) -> Result<u8, CliError> {
    let run = args.run.as_deref().map(RunName::new).transpose()?;
    let catalog = existing_catalog(settings).await?;
    let run_id = match &run {
        Some(run) => Some(run.find(&catalog).await?),
        None => None,
    };
    if args.jobs {
        let run_id = match run_id {
            Some(run_id) => Some(run_id),
            None => catalog.runs(1).await?.first().map(|run| run.run_id),
        };
        if let Some(run_id) = run_id {
            list_jobs(&catalog, run_id, json).await?;
        }
        return Ok(0);
    }
    let wanted = read::Wanted {
        run_id,
        all_failures: args.failures,
        json,
    };
    let broker = BrokerLink::connect(settings).await;
    if args.watch {
        let code = watch::watch(&catalog, settings, &broker, wanted).await;
        broker.close().await;
        return code;
    }
    let standing = broker.ask(&catalog).await;
    let status = Status::read(&catalog, settings, wanted).await?;
    broker.close().await;
    if json {
        print_json(&status.json(&standing));
    } else {
        print_text(&show(&status, &standing, width()));
    }
    Ok(0)
}

/// Lists each job of a run, as a table or JSON lines.
async fn list_jobs(
    catalog: &Catalog,
    run_id: seedbed_protocol::RunId,
    as_json: bool,
) -> Result<(), CatalogError> {
    let mut after = None;
    loop {
        let filter = JobFilter::default();
        let (jobs, next) = catalog
            .jobs_page(run_id, &filter, after, TABLE_ROWS as u32)
            .await?;
        if as_json {
            jobs.iter().for_each(print_json);
        } else {
            print_lines(&tables::jobs(&jobs, width()));
        }
        if next.is_none() {
            return Ok(());
        }
        after = next;
    }
}
