//! Checks the catalog without making or changing it: its tables, its server's clock and connections.

use chrono::{TimeDelta, Utc};

use super::{clock::difference_of, directories::catalog_directory, report::Checked};
use crate::{
    catalog::{self, Catalog, Connections, Survey},
    settings::Settings,
};

/// What was found of a catalog.
pub(super) struct Found {
    pub(super) told: String,
    /// How far its clock is ahead.
    pub(super) clock: Option<TimeDelta>,
    /// The bytes of the largest live snapshot.
    pub(super) largest: Option<u64>,
}

pub(super) async fn check(settings: &Settings) -> Checked<Found> {
    let url = settings.catalog.url.expose();
    let name = catalog::name_of(url);
    let before = Utc::now();
    let Some(survey) = Catalog::survey(url).await? else {
        can_be_made(settings, &name)?;
        return Ok(Found {
            told: format!("{name}: does not exist yet; the first run makes it"),
            clock: None,
            largest: None,
        });
    };
    let clock = survey.clock;
    let clock = clock.map(|read| difference_of(before, read, TimeDelta::zero()));
    let mut told = tables(&name, &survey)?;
    if let Some(connections) = survey.connections {
        told = format!("{told}; {}", room(&name, connections)?);
    }
    Ok(Found {
        told,
        clock,
        largest: survey.tables.and_then(|tables| tables.largest_snapshot),
    })
}

fn tables(name: &str, survey: &Survey) -> Checked<String> {
    let to_be_made = survey.tables.as_ref().map(|tables| tables.migrations);
    if to_be_made != Some(0) && !survey.may_make_tables {
        return Err(format!(
            "{name}: tables have to be made, but the user of catalog.url may make none in the current schema; \
             GRANT USAGE, CREATE ON SCHEMA … TO it"
        )
        .into());
    }
    let Some(tables) = &survey.tables else {
        return Ok(format!("{name}: no tables yet; the first run makes them"));
    };
    let mut told = match &tables.last_run {
        Some((at, state)) => format!("{name}: last run {} {state}", at.to_rfc3339()),
        None => format!("{name}: no runs yet"),
    };
    if tables.migrations > 0 {
        told = format!(
            "{told}; {} migrations will be made by the next start",
            tables.migrations
        );
    }
    Ok(told)
}

/// Whether the server has room for one more process.
fn room(name: &str, connections: Connections) -> Checked<String> {
    let Connections {
        allowed,
        used,
        of_a_process,
    } = connections;
    let free = allowed - used;
    if free < i64::from(of_a_process) {
        return Err(format!(
            "{name}: allows {allowed} connections and {used} are in use, but each coordinator takes up to {of_a_process}; \
             raise max_connections (or the user's CONNECTION LIMIT), or put PgBouncer in front"
        )
        .into());
    }
    Ok(format!("{free} of {allowed} connections are free"))
}

fn can_be_made(settings: &Settings, name: &str) -> Checked<()> {
    let Some(directory) = catalog_directory(settings) else {
        return Ok(());
    };
    let cannot_make = |e: std::io::Error| {
        format!(
            "{name}: cannot be made in {} (catalog.url): {e}",
            directory.display()
        )
    };
    std::fs::create_dir_all(&directory).map_err(cannot_make)?;
    tempfile::NamedTempFile::new_in(&directory).map_err(cannot_make)?;
    Ok(())
}
