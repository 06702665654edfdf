//! `seedbed retry`: retries failed stores.

use indicatif::HumanCount;

use seedbed_protocol::say;
use serde_json::Value;

use crate::{
    catalog::Retried,
    cli::{
        args::RetryArgs,
        connect::{LEAVING, run_id},
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
    let run_id = args.run.as_deref().map(run_id).transpose()?;
    let mut patience = Patience::new(&settings, json)?;
    let parts = patience.connect_catalog(&settings).await?;
    let cluster = parts.cluster(&settings, json)?;
    let retry = async || cluster.retry(run_id).await;
    let subject = args.run.clone().unwrap_or_default();
    let deed = deed("run.retry", subject, &Value::Null);
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
    say!("{} stores start over", HumanCount(retried.jobs));
    if retried.skipped > 0 {
        say!(
            "{} stay as they are, since a later run had a job for them or they are gone",
            HumanCount(retried.skipped)
        );
    }
}
