//! The app's schema as Seedbed and PowerSync's core extension take it, from where an app has it.
//!
//! In: a source file for an SDK in JavaScript or TypeScript, the JSON that an SDK prints, or a snapshot. Out: the same JSON
//! as the SDK's `schema.toJSON()`, checked as `schema.file` is, and what a person still has to add.

mod declarations;
mod json;
mod snapshot;
mod tokens;
mod types;
mod values;

use std::path::Path;

use seedbed_worker::oplog::Schema;
use serde_json::Value;

use super::error::{ImportError, text_of};

/// A schema, and what is left to do about it.
#[derive(Debug)]
pub(in crate::cli) struct AppSchema {
    /// As `schema.toJSON()` of an SDK.
    pub(in crate::cli) json: Value,
    /// A sentence each.
    pub(in crate::cli) left: Vec<String>,
}

/// Reads the schema from a `.ts`, `.js` or `.json` file, whichever it is by its name.
pub(in crate::cli) fn of_source(path: &Path) -> Result<AppSchema, ImportError> {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let json = match extension.map(str::to_lowercase).as_deref() {
        Some("json") => {
            serde_json::from_str(&text_of(path)?).map_err(|error| ImportError::Text {
                path: path.to_owned(),
                line: error.line(),
                reason: format!("this is no JSON: {error}"),
            })?
        }
        Some("ts" | "tsx" | "mts" | "cts" | "js" | "jsx" | "mjs" | "cjs") => {
            of_script(path, &text_of(path)?)?
        }
        _ => {
            return Err(ImportError::content(
                path,
                "its name has to end in .ts, .js or .json; of an app in another language, print the schema as JSON \
                 (jsonEncode(schema) in Dart) and give that",
            ));
        }
    };
    checked(path, json, Vec::new())
}

/// Reads the schema that the views of a snapshot, or of an app's own database, show.
pub(in crate::cli) async fn of_snapshot(path: &Path) -> Result<AppSchema, ImportError> {
    let found = snapshot::read(path).await?;
    checked(path, found.json, found.left)
}

fn of_script(path: &Path, text: &str) -> Result<Value, ImportError> {
    let read = || {
        let tokens = tokens::tokens(text);
        let declared = declarations::declared(&tokens)?;
        json::schema(&declared)
    };
    read().map_err(|problem: tokens::Problem| ImportError::Text {
        path: path.to_owned(),
        line: problem.line,
        reason: problem.reason,
    })
}

/// Checks a schema as a worker does, as far as it is complete.
fn checked(path: &Path, json: Value, mut left: Vec<String>) -> Result<AppSchema, ImportError> {
    let raw = json.get("raw_tables").and_then(Value::as_array);
    let without_ddl = raw
        .into_iter()
        .flatten()
        .filter(|raw| raw.get("ddl").is_none());
    let names: Vec<_> = without_ddl.map(|raw| raw["name"].to_string()).collect();
    if names.is_empty() {
        Schema::parse(path, &json.to_string())?;
    } else {
        left.push(format!(
            "the raw tables {} need their CREATE TABLE statements: add each as \"ddl\" beside the table's name",
            names.join(", ")
        ));
    }
    Ok(AppSchema { json, left })
}
