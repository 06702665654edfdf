//! Finishes a compact file as a device does: runs the description that client packages have a copy of.

use rusqlite::{Connection, OptionalExtension, types::Value};
use seedbed_protocol::manifest::{Finishing, FinishingStep};

use super::error::FormError;
use crate::oplog::{DatabaseError, initialize, open_in_memory};

/// Finishes the compact file that `connection` has open, in one transaction. The core extension has migrated it, and the
/// app's tables are there. `schema` is the app's schema as the SDK's JSON.
///
/// # Errors
/// [`FormError`]; then the file is as it was, if its journal is on.
pub fn finish(connection: &Connection, schema: &str) -> Result<(), FormError> {
    let finishing = Finishing::current();
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let mut steps = finishing.steps.iter();
    let ran = steps.try_for_each(|step| run(connection, step, schema));
    connection.execute_batch(if ran.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    ran
}

fn run(connection: &Connection, step: &FinishingStep, schema: &str) -> Result<(), FormError> {
    let failed = |source: DatabaseError| FormError::Step {
        step: step.name().to_owned(),
        source,
    };
    match step {
        FinishingStep::Run {
            sql,
            parameters,
            returns,
            ..
        } => {
            // There is no other parameter than the schema.
            let parameters = vec![schema; parameters.len()];
            let found = one(connection, sql, &parameters).map_err(|e| failed(e.into()))?;
            match (returns, found) {
                (None, _) => Ok(()),
                (Some(expected), Some(Value::Integer(found))) if *expected == found => Ok(()),
                (Some(expected), found) => Err(FormError::Unfinished {
                    step: step.name().to_owned(),
                    expected: *expected,
                    found: match found {
                        Some(Value::Integer(found)) => Some(found),
                        _ => None,
                    },
                }),
            }
        }
        FinishingStep::OfCore { of_core, .. } => {
            let statements = of_fresh_database(of_core).map_err(failed)?;
            let mut statements = statements.iter();
            statements.try_for_each(|sql| {
                let ran = connection.execute_batch(sql);
                ran.map_err(|e| failed(e.into()))
            })
        }
    }
}

/// Runs a statement and returns the first column of its first row.
fn one(
    connection: &Connection,
    sql: &str,
    parameters: &[&str],
) -> Result<Option<Value>, rusqlite::Error> {
    let parameters = rusqlite::params_from_iter(parameters);
    let mut statement = connection.prepare(sql)?;
    match statement.column_count() {
        0 => statement.execute(parameters).map(|_| None),
        _ => statement.query_row(parameters, |row| row.get(0)).optional(),
    }
}

/// Returns the statements that `query` finds in a fresh database of this core extension.
fn of_fresh_database(query: &str) -> Result<Vec<String>, DatabaseError> {
    let fresh = open_in_memory()?;
    initialize(&fresh)?;
    let mut statements = fresh.prepare(query)?;
    let statements = statements.query_map([], |row| row.get(0))?;
    Ok(statements.collect::<Result<_, _>>()?)
}
