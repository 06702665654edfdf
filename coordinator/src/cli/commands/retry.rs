//! `seedbed retry`: retries failed stores.

use indicatif::HumanCount;

use seedbed_protocol::say;
use serde_json::{Value, json};

use crate::{
    catalog::{FailedJobs, Retried},
    cli::{
        args::RetryArgs,
        connect::{LEAVING, RunName},
        exit::CliError,
        on_record::{deed, on_record},
        output::print_event,
        patience::Patience,
    },
    settings::Settings,
};

pub(in crate::cli) async fn retry(
    args: RetryArgs,
    settings: Settings,
    json: bool,
) -> Result<u8, CliError> {
    settings.check_cluster()?;
    let run = args.run.as_deref().map(RunName::new).transpose()?;
    let mut patience = Patience::new(&settings, json)?;
    let parts = patience.connect_catalog(&settings).await?;
    let cluster = parts.cluster(&settings, json)?;
    let run_id = match &run {
        Some(run) => Some(run.find(&parts.catalog).await?),
        None => None,
    };
    let which = FailedJobs {
        run_id,
        reason: args.reason.as_deref(),
        stores: &[],
    };
    let retry = async || cluster.retry(which).await;
    let deed = match (&args.reason, run_id) {
        (Some(key), run_id) => deed("failure.retry", key, &json!({"run": run_id})),
        (None, Some(run_id)) => deed("run.retry", run_id.to_string(), &Value::Null),
        (None, None) => deed("run.retry", "", &Value::Null),
    };
    let retrying = patience.wait_for("the catalog", retry);
    let retried = on_record(&parts.catalog, deed, retrying).await?;
    let stop = patience.stop_with(LEAVING);
    tell_retried(&retried, json);
    if let Some(trouble) = parts.broker.trouble()
        && retried.jobs > 0
    {
        say!(
            "they are recorded, and published when the broker takes messages again, by this command, `seedbed serve` or \
             the next run: {trouble}"
        );
    }
    let awaited = cluster.publish_retried(&retried, &stop).await?;
    parts.follow(&cluster, &awaited, args.no_wait, stop).await
}

fn tell_retried(retried: &Retried, json: bool) {
    if json {
        return print_event("retried", retried);
    }
    match retried.jobs {
        1 => say!("1 store starts over"),
        jobs => say!("{} stores start over", HumanCount(jobs)),
    }
    match retried.skipped {
        0 => {}
        1 => say!("1 stays as it is, since a later run had a job for it or it is gone"),
        skipped => say!(
            "{} stay as they are, since a later run had a job for them or they are gone",
            HumanCount(skipped)
        ),
    }
}
