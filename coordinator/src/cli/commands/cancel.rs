//! `seedbed cancel`: drops the jobs of a run that no worker has started.

use indicatif::HumanCount;

use seedbed_protocol::say;

use crate::{
    cli::{
        args::CancelArgs, connect::run_id, exit::CliError, output::print_json, patience::Patience,
    },
    settings::Settings,
};

pub(in crate::cli) async fn cancel(
    args: CancelArgs,
    settings: Settings,
    json: bool,
) -> Result<u8, CliError> {
    settings.check_cluster()?;
    let run_id = run_id(&args.run)?;
    let mut patience = Patience::new(&settings, json)?;
    let parts = patience.connect(&settings).await?;
    let cancelled = parts.cluster(&settings, json)?.cancel(run_id).await?;
    if json {
        print_json(&cancelled);
    } else {
        say!(
            "{} stores will not be seeded; {} have started and continue",
            HumanCount(cancelled.cancelled),
            HumanCount(cancelled.going_on)
        );
    }
    parts.close().await;
    Ok(0)
}
