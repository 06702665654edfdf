//! Proposes settings from the configuration of a PowerSync service and its sync config.
//!
//! In: one or both files, in YAML or JSON. Out: a [`Proposal`] of settings, each with where it comes from, and a note on
//! what the files do not say. Keys and passwords in them are never taken over.

mod choice;
mod parts;
mod proposal;
mod query;
mod selection;
mod service;
mod tables;
mod yaml;

use std::path::{Path, PathBuf};

pub(in crate::cli) use self::proposal::{Proposal, Proposed, Subscription, Value};
use self::{
    selection::Selection,
    service::{Service, SyncConfig},
    yaml::Node,
};
use super::error::{ImportError, text_of};

/// Reads the service's configuration, its sync config, or both, and proposes settings.
pub(in crate::cli) fn propose(files: &[PathBuf]) -> Result<Proposal, ImportError> {
    if files.is_empty() {
        return Ok(Proposal::default());
    }
    let (mut service, mut selection) = (None, None);
    for path in files {
        let node = read(path)?;
        let twice = || {
            ImportError::content(
                path,
                "both files are of one kind; give the service's configuration and its sync config",
            )
        };
        if Selection::is_in(&node) {
            let before = selection.replace(selected(&node, path, 0)?);
            before.is_none().then_some(()).ok_or_else(twice)?;
        } else if Service::is_in(&node) {
            let before = service.replace((Service::of(&node), path));
            before.is_none().then_some(()).ok_or_else(twice)?;
        } else {
            return Err(ImportError::content(
                path,
                "this is neither a PowerSync service's configuration (replication, client_auth) nor a sync config \
                 (bucket_definitions, streams)",
            ));
        }
    }
    if let (Some((service, path)), None) = (&service, &selection) {
        selection = sync_config_of(service, path)?;
    }
    let service = service.map(|(service, _)| service);
    Ok(proposal::proposal(service.as_ref(), selection.as_ref()))
}

/// The sync config that a service's configuration holds or names, if it is there.
fn sync_config_of(service: &Service, path: &Path) -> Result<Option<Selection>, ImportError> {
    let (node, above) = match &service.sync_config {
        None => return Ok(None),
        Some(SyncConfig::Text { text, line }) => {
            let node = yaml::parse(text).map_err(|(inner, reason)| ImportError::Text {
                path: path.to_owned(),
                line: line + inner,
                reason,
            })?;
            (node, *line)
        }
        Some(SyncConfig::Path(named)) => {
            let named = path.parent().unwrap_or(Path::new("")).join(named);
            // It may be a path within a container.
            if !named.is_file() {
                return Ok(None);
            }
            let node = read(&named)?;
            return selected(&node, &named, 0).map(Some);
        }
    };
    selected(&node, path, above).map(Some)
}

/// What a sync config asks, which begins below the line `above` of the file.
fn selected(node: &Node, path: &Path, above: usize) -> Result<Selection, ImportError> {
    match Selection::misshapen(node) {
        Some((line, name)) => Err(ImportError::Text {
            path: path.to_owned(),
            line: above + line,
            reason: format!("{name} must be a table: a name for each, and what belongs to it"),
        }),
        None => Ok(Selection::of(node)),
    }
}

fn read(path: &Path) -> Result<Node, ImportError> {
    yaml::parse(&text_of(path)?).map_err(|(line, reason)| ImportError::Text {
        path: path.to_owned(),
        line,
        reason,
    })
}
