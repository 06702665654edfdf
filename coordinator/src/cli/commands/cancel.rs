//! `seedbed cancel`: drops the jobs of a run that no worker has started.

use indicatif::HumanCount;

use seedbed_protocol::say;
use serde_json::Value;

use crate::{
    cli::{
        args::CancelArgs,
        connect::RunName,
        exit::CliError,
        on_record::{deed, on_record},
        output::{counted, print_json},
        patience::Patience,
    },
    settings::Settings,
};

pub(in crate::cli) async fn cancel(
    args: CancelArgs,
    settings: Settings,
    json: bool,
) -> Result<u8, CliError> {
    settings.check_cluster()?;
    let run = RunName::new(&args.run)?;
    let mut patience = Patience::new(&settings, json)?;
    let parts = patience.connect_catalog(&settings).await?;
    let run_id = run.find(&parts.catalog).await?;
    let cluster = parts.cluster(&settings, json)?;
    let cancel = async || cluster.cancel(run_id).await;
    let deed = deed("run.cancel", run_id.to_string(), &Value::Null);
    let cancelling = patience.wait_for("the catalog", cancel);
    let cancelled = on_record(&parts.catalog, deed, cancelling).await?;
    if json {
        print_json(&cancelled);
    } else {
        say!(
            "{} will not be seeded; {}",
            counted(cancelled.cancelled, "store"),
            match cancelled.going_on {
                1 => "1 has started and continues".to_owned(),
                others => format!("{} have started and continue", HumanCount(others)),
            }
        );
        if let Some(reason) = &cancelled.messages_left {
            say!(
                "their messages are still in the queue ({reason}); `seedbed serve` or the next run removes them, and a \
                 worker that is faster seeds a store once more"
            );
        }
    }
    parts.close().await;
    Ok(0)
}
