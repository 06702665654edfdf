//! `seedbed quarantine`: sweeps skip the stores that fail for one reason.

use seedbed_protocol::say;
use serde_json::Value;

use crate::{
    cli::{
        args::QuarantineArgs,
        connect::existing_catalog,
        exit::CliError,
        on_record::{deed, on_record},
        output::{counted, print_event},
    },
    programs::quarantine as policy,
    settings::Settings,
};

pub(in crate::cli) async fn quarantine(
    args: QuarantineArgs,
    settings: &Settings,
    json: bool,
) -> Result<u8, CliError> {
    let catalog = existing_catalog(settings).await?;
    let deed = deed("failure.quarantine", args.reason.clone(), &Value::Null);
    let by = deed.actor.clone();
    let holding = catalog.quarantine_reason(&args.reason, policy(&settings.sync), &by);
    let held = on_record(&catalog, deed, holding).await?;
    catalog.close().await;
    if json {
        print_event("quarantined", &held);
        return Ok(0);
    }
    let stores = counted(held.stores, "store");
    let pause = humantime::format_duration(settings.sync.quarantine_pause);
    say!(
        "{stores} quarantined: sweeps skip them, and probe them after {pause}, until something succeeds; {}",
        match settings.broker.is_memory() {
            true => "*Retry all* on the page Failures of `seedbed local --serve` starts them over"
                .to_owned(),
            false => format!("`seedbed retry --reason {}` starts them over", args.reason),
        }
    );
    Ok(0)
}
