//! What a command changes is in the audit log, with the account of the machine that it was called by.

use std::{env, fs, os::unix::fs::MetadataExt};

use seedbed_protocol::say;
use serde_json::Value;

use super::exit::CliError;
use crate::catalog::{Catalog, Deed};

/// What is about to be done, from a shell: the action, as `run.start`; the store, the run or the like, if any; and what
/// else was asked for.
pub(super) fn deed(action: &str, subject: impl Into<String>, detail: &Value) -> Deed {
    let fields = detail.as_object();
    let is_asked = fields.is_some_and(|fields| !fields.is_empty());
    Deed {
        actor: account(),
        origin: machine(),
        action: action.to_owned(),
        subject: subject.into(),
        detail: if is_asked {
            detail.to_string()
        } else {
            String::new()
        },
    }
}

/// Does `work` within an entry of the audit log: there is none without it.
pub(super) async fn on_record<T, E: Into<CliError>>(
    catalog: &Catalog,
    deed: Deed,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, CliError> {
    let entry = catalog.begin_deed(&deed).await?;
    let done = work.await.map_err(Into::into);
    let outcome = match &done {
        Ok(_) => "done".to_owned(),
        Err(error) => format!("failed: {error}"),
    };
    if let Err(error) = catalog.end_deed(&entry, &outcome).await {
        say!(
            "the audit log does not say how {} ended: {error}",
            deed.action
        );
    }
    done
}

/// The account that this process runs as, and the one that has become it by sudo. The system knows the first; the second is
/// as right as the environment.
fn account() -> String {
    let uid = fs::metadata("/proc/self").ok().map(|process| process.uid());
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = uid.and_then(|uid| name_of(&users, uid));
    let variable = |name| {
        env::var(name)
            .ok()
            .filter(|value: &String| !value.is_empty())
    };
    let name = named
        .or_else(|| uid.map(|uid| format!("uid {uid}")))
        .or_else(|| variable("USER"))
        .unwrap_or_else(|| "unknown".to_owned());
    match variable("SUDO_USER") {
        Some(before) if before != name => format!("{name} ({before} by sudo)"),
        _ => name,
    }
}

/// The name of a user id in the lines of /etc/passwd.
fn name_of(users: &str, uid: u32) -> Option<String> {
    let mut users = users.lines().map(|line| line.split(':'));
    users.find_map(|mut fields| {
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

fn machine() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "shell".to_owned(),
        name => format!("shell on {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_the_name_that_the_machine_gives_it() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!(name_of(users, 1000).as_deref(), Some("ann"));
        assert_eq!(name_of(users, 7), None);
    }
}
