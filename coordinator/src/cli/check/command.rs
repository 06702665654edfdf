//! The command `seedbed check`.

use std::io::IsTerminal;

use seedbed_protocol::{process::FAILED, text::visible};
use serde_json::json;

use super::{parts::check_parts, report::PartCheck};
use crate::{
    cli::{
        args::SourceArgs,
        connect::store_list,
        exit::CliError,
        output::{print_json, print_text},
    },
    settings::Settings,
};

/// What terminals take for colours.
const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const PLAIN: &str = "\x1b[0m";

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
    if is_served(settings) {
        settings.check_serve()?;
    }
    let stores = store_list(args, settings)?;
    let mut parts = vec![PartCheck {
        part: "settings",
        ok: true,
        tried: true,
        detail: "every setting is known and makes sense".to_owned(),
    }];
    parts.extend(check_parts(settings, &stores.source).await);
    let ok = parts.iter().all(|part| part.ok);
    if json {
        print_json(&json!({"ok": ok, "parts": parts}));
    } else {
        parts.iter().for_each(tell);
    }
    Ok(if ok { 0 } else { FAILED })
}

/// Whether anybody is to be answered: then a server has to start with these settings.
fn is_served(settings: &Settings) -> bool {
    let serve = &settings.serve;
    let lets_somebody_in = serve.admin_token.is_some() || serve.open_admin;
    lets_somebody_in || settings.download.has_keys() || settings.download.anonymous
}

fn tell(part: &PartCheck) {
    let (mark, colour) = match (part.ok, part.tried) {
        (true, true) => ("ok    ", GREEN),
        (true, false) => ("-     ", PLAIN),
        (false, _) => ("FAILED", RED),
    };
    let is_coloured = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mark = match is_coloured {
        true => format!("{colour}{mark}{PLAIN}"),
        false => mark.to_owned(),
    };
    print_text(&format!(
        "{mark}  {:<11}  {}",
        part.part,
        visible(&part.detail)
    ));
}
