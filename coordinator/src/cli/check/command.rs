//! The command `seedbed check`.

use seedbed_protocol::process::FAILED;
use serde_json::json;

use super::{parts::check_parts, report::PartCheck};
use crate::{
    cli::{
        args::SourceArgs,
        connect::store_list,
        exit::CliError,
        output::{print_json, print_lines},
    },
    settings::Settings,
};

pub(in crate::cli) async fn check(
    args: &SourceArgs,
    settings: &Settings,
    json: bool,
) -> Result<u8, CliError> {
    if settings.broker.is_memory() {
        settings.check_local()?;
    } else {
        settings.check_cluster()?;
        // Only workers need the rest; where they have settings of their own, these are empty.
        if !settings.powersync.endpoint.is_empty() {
            settings.check_seeding()?;
        }
    }
    let stores = store_list(args, settings)?;
    let mut parts = vec![PartCheck {
        part: "settings",
        ok: true,
        detail: "every setting is known and makes sense".to_owned(),
    }];
    parts.extend(check_parts(settings, &stores.source).await);
    let ok = parts.iter().all(|part| part.ok);
    if json {
        print_json(&json!({"ok": ok, "parts": parts}));
    } else {
        for PartCheck { part, ok, detail } in &parts {
            let mark = if *ok { "ok    " } else { "FAILED" };
            print_lines(&format!("{mark}  {part:<10}  {detail}"));
        }
    }
    Ok(if ok { 0 } else { FAILED })
}
