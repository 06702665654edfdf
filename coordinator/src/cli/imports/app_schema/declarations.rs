//! Finds the schema in a script: its constants, the one `new Schema(…)`, and raw tables that are added to it.

use super::{
    tokens::{Kind, Problem, Token},
    values::{Script, Value},
};

/// What a script declares.
#[derive(Debug)]
pub(super) struct Declared {
    /// The argument of `new Schema(…)`.
    pub(super) tables: Value,
    /// The arguments of `schema.withRawTables(…)`, in order.
    pub(super) raw_tables: Vec<Value>,
    pub(super) line: usize,
}

/// Reads what a script declares.
pub(super) fn declared(tokens: &[Token]) -> Result<Declared, Problem> {
    let mut script = Script::new(tokens);
    let (constants, imports) = (constants(&script), imports(&script));
    (script.constants, script.imports) = (constants, imports);
    let mut schemas = (0..tokens.len()).filter(|at| begins_schema(&script, *at));
    let Some(schema) = schemas.next() else {
        return Err(no_schema(&script, tokens.len()));
    };
    if let Some(second) = schemas.next() {
        let first = script.line(schema);
        let reason = format!(
            "this is a second schema, the first is in line {first}: give a file with the one that devices use"
        );
        return Err(Problem::new(script.line(second), reason));
    }
    let line = script.line(schema);
    let mut open = schema + 2;
    while script.mark(open) != Some("(") && open < tokens.len() {
        open += 1;
    }
    let mut arguments = script.arguments(open)?.into_iter();
    let tables = arguments.next().ok_or_else(|| script.unread(open))?;
    let mut raw_tables = Vec::new();
    for at in 1..tokens.len() {
        let is_call = script.mark(at - 1) == Some(".") && is_name(&script, at, "withRawTables");
        if is_call && script.mark(at + 1) == Some("(") {
            raw_tables.extend(script.arguments(at + 1)?);
        }
    }
    Ok(Declared {
        tables,
        raw_tables,
        line,
    })
}

/// Whether `new Schema(` begins here, also with types or by another name.
fn begins_schema(script: &Script<'_>, at: usize) -> bool {
    let Some(Kind::Name(class)) = script.kind(at + 1) else {
        return false;
    };
    let named = script.imports.get(class).unwrap_or(class);
    is_name(script, at, "new")
        && named == "Schema"
        && matches!(script.mark(at + 2), Some("(" | "<"))
}

fn no_schema(script: &Script<'_>, tokens: usize) -> Problem {
    let drizzle = (0..tokens).find(|at| is_name(script, *at, "DrizzleAppSchema"));
    match drizzle {
        Some(at) => Problem::new(
            script.line(at),
            "a schema by Drizzle is made when the app runs: give the JSON that console.log(JSON.stringify(schema)) prints",
        ),
        None => Problem::new(
            script.line(tokens),
            "there is no `new Schema(…)` in this file: give the file that has the app's schema",
        ),
    }
}

/// Where the value of each constant of the file begins. Those within functions and blocks are not the schema's.
fn constants(script: &Script<'_>) -> std::collections::BTreeMap<String, usize> {
    let mut found = std::collections::BTreeMap::new();
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(kind) = script.kind(at) {
        match kind {
            Kind::Mark("{" | "(" | "[") => depth += 1,
            Kind::Mark("}" | ")" | "]") => depth = depth.saturating_sub(1),
            Kind::Name(word) if depth == 0 && ["const", "let", "var"].contains(&word.as_str()) => {
                if let Some(Kind::Name(name)) = script.kind(at + 1)
                    && let Some(value) = behind_equals(script, at + 2)
                {
                    found.insert(name.clone(), value);
                }
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Where the value begins behind `=`, and behind the type before it.
fn behind_equals(script: &Script<'_>, from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        match script.kind(at)? {
            Kind::Mark("=") => return Some(at + 1),
            Kind::Mark(";") => return None,
            _ => at += 1,
        }
    }
}

/// What is imported in braces: `{ Schema as S, Table }`.
fn imports(script: &Script<'_>) -> std::collections::BTreeMap<String, String> {
    let mut found = std::collections::BTreeMap::new();
    let mut at = 0;
    while script.kind(at).is_some() {
        let begins = is_name(script, at, "import");
        at += 1;
        if !begins {
            continue;
        }
        while let Some(kind) = script.kind(at) {
            match kind {
                Kind::Text(_) | Kind::Mark(";") => break,
                Kind::Name(name) if is_name(script, at + 1, "as") => {
                    if let Some(Kind::Name(here)) = script.kind(at + 2) {
                        found.insert(here.clone(), name.clone());
                    }
                    at += 2;
                }
                Kind::Name(name) if name != "from" && name != "type" => {
                    found.insert(name.clone(), name.clone());
                }
                _ => {}
            }
            at += 1;
        }
    }
    found
}

fn is_name(script: &Script<'_>, at: usize, name: &str) -> bool {
    matches!(script.kind(at), Some(Kind::Name(found)) if found == name)
}
