//! `seedbed init`: writes a settings file for a first start, and says what to do next.

use std::{
    io::{self, IsTerminal},
    path::Path,
};

use seedbed_protocol::settings::{self, DEFAULTS};
use serde_json::json;

use super::{
    filled::filled,
    questions::{Terminal, proposal},
    written::write_whole,
};
use crate::{
    cli::{
        args::InitArgs,
        exit::CliError,
        imports::Proposal,
        output::{print_json, print_text},
    },
    settings::Settings,
};

/// Where settings are looked for without `--config`.
const BESIDE: &str = "seedbed.toml";

/// Writes `file`, or `./seedbed.toml`.
pub(in crate::cli) fn init(
    args: &InitArgs,
    file: Option<&Path>,
    json: bool,
) -> Result<u8, CliError> {
    let file = file.unwrap_or(Path::new(BESIDE));
    let path = file.display().to_string();
    if file.exists() && !args.force {
        return Err(CliError::SettingsExist { path });
    }
    let proposal = match !json && io::stdin().is_terminal() {
        true => proposal(
            args,
            Some(&mut Terminal::new(io::stdin().lock(), io::stderr())),
        )?,
        false => proposal(args, None)?,
    };
    let text = filled(DEFAULTS, &proposal);
    check(&text, file)?;
    // Never over a file that was made since it was looked for.
    write_whole(file, &text, args.force).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => CliError::SettingsExist { path: path.clone() },
        _ => CliError::SettingsNotWritten {
            path: path.clone(),
            source,
        },
    })?;
    let next = next(&proposal, &path);
    if json {
        print_json(&json!({"file": path, "next": next}));
    } else {
        print_text(&format!("wrote {path}\nNext:\n  {}", next.join("\n  ")));
    }
    Ok(0)
}

/// Checks what is to be written as a command that reads it does.
fn check(text: &str, file: &Path) -> Result<(), CliError> {
    let directory = tempfile::tempdir().map_err(|source| CliError::SettingsNotWritten {
        path: file.display().to_string(),
        source,
    })?;
    let copy = directory.path().join(BESIDE);
    std::fs::write(&copy, text).map_err(|source| CliError::SettingsNotWritten {
        path: copy.display().to_string(),
        source,
    })?;
    let read = settings::merge::<Settings>(Some(&copy), []);
    let checked = read.and_then(|settings| settings.check_values());
    checked.map_err(|error| {
        // Nobody knows the copy.
        let copy = copy.display().to_string();
        let path = file.display().to_string();
        let reason = error.to_string().replace(&copy, &path);
        CliError::SettingsRefused { path, reason }
    })
}

/// What says which stores there are, if `source.url` is a database.
fn missing_beside(proposal: &Proposal) -> Option<&'static str> {
    match proposal.text("source", "url")? {
        url if url.starts_with("file:") => None,
        url if url.starts_with("mongodb") => Some("source.collection"),
        _ => Some("source.query"),
    }
}

/// What is left to do, a line each.
fn next(proposal: &Proposal, path: &str) -> Vec<String> {
    let has = |section, name| proposal.value(section, name).is_some();
    let mut next = Vec::new();
    let unknown = |note: &str| note.contains("Not known: ") || note.contains("Not possible: ");
    if proposal
        .settings
        .iter()
        .any(|setting| unknown(&setting.note))
    {
        next.push(format!(
            "grep -n 'Not known' {path}    # what the service's files do not say"
        ));
    }
    if !has("powersync", "endpoint") {
        next.push(format!(
            "set powersync.endpoint in {path} to the URL of your PowerSync service"
        ));
    }
    let listed = has("source", "query") || has("source", "collection");
    if !has("source", "url") {
        let missing = if listed {
            "source.url"
        } else {
            "source.url and source.query"
        };
        next.push(format!("set {missing} in {path}, or give --stores FILE"));
    } else if let Some(missing) = missing_beside(proposal).filter(|_| !listed) {
        next.push(format!("set {missing} in {path}"));
    }
    next.extend(proposal.next.iter().cloned());
    if !has("token", "key_file") {
        next.push(
            "export SEEDBED_TOKEN__SECRET=…    # the shared secret of the service (the `k` of its key)".to_owned(),
        );
    }
    let config = match path == BESIDE {
        true => String::new(),
        false => format!(" --config {path}"),
    };
    next.push(format!(
        "seedbed check{config}     # is every part reachable and configured?"
    ));
    next.push(format!(
        "seedbed local{config}     # seeds every store, then exits"
    ));
    if !has("schema", "file") {
        next.push(
            "seedbed schema --from FILE > schema.json    # the app's schema, for schema.file, before you rely on snapshots"
                .to_owned(),
        );
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::imports::{Proposed, Value};

    #[test]
    fn a_database_without_what_lists_its_stores_lacks_it() {
        for (url, missing) in [
            (
                "postgres://reader@db/app",
                Some("set source.query in s.toml"),
            ),
            ("mongodb://db/app", Some("set source.collection in s.toml")),
            ("file:stores.csv", None),
        ] {
            let mut proposal = Proposal::default();
            proposal.settings.push(Proposed {
                section: "source",
                name: "url",
                value: Some(Value::Text(url.to_owned())),
                note: String::new(),
            });
            let next = next(&proposal, "s.toml");
            let said = next.iter().find(|line| line.contains("set source."));
            assert_eq!(said.map(String::as_str), missing, "{url}");
        }
    }
}
