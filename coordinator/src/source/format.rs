//! The two formats of a list in a file: how they are told apart, and one line of NDJSON or record of CSV as columns.

use std::io::{self, BufRead, Cursor, Read as _};

use seedbed_protocol::settings::kind_of;
use serde_json::Value;

use super::{error::RecordProblem, lines::MAX_LINE_BYTES, record::Columns};

/// How a list of stores is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum FileFormat {
    /// One JSON object a line.
    Ndjson,
    /// Comma-separated values with a header; every value is a text.
    Csv,
}

/// A list whose first line that is not blank begins with `{` is NDJSON, any other CSV.
pub(super) fn sniff(
    mut file: Box<dyn BufRead + Send>,
) -> io::Result<(Box<dyn BufRead + Send>, FileFormat)> {
    let mut start = Vec::new();
    let mut lines = file.by_ref().take(MAX_LINE_BYTES);
    while start.trim_ascii().is_empty() && lines.read_until(b'\n', &mut start)? > 0 {}
    let format = match start.trim_ascii_start().first() {
        Some(b'{') => FileFormat::Ndjson,
        _ => FileFormat::Csv,
    };
    Ok((Box::new(Cursor::new(start).chain(file)), format))
}

pub(super) fn malformed(problem: impl Into<String>) -> RecordProblem {
    RecordProblem::Malformed(problem.into())
}

pub(super) fn json_columns(line: &[u8]) -> Result<Columns, RecordProblem> {
    let error = match serde_json::from_slice(line) {
        Ok(columns) => return Ok(columns),
        Err(error) => error,
    };
    match serde_json::from_slice::<Value>(line) {
        Ok(other) if !other.is_object() => Err(malformed(format!(
            "expected a JSON object, found {}",
            kind_of(&other)
        ))),
        parsed => {
            // serde_json counts lines within this one; only the column says something.
            let (reason, column) = (error.to_string(), error.column());
            let reason = reason.split(" at line ").next().unwrap_or_default();
            let problem = match parsed {
                Ok(_) => "",
                Err(_) => "not a JSON object: ",
            };
            Err(malformed(format!("{problem}{reason} at column {column}")))
        }
    }
}

pub(super) fn check_header(header: &csv::StringRecord) -> Result<(), RecordProblem> {
    for (index, name) in header.iter().enumerate() {
        let problem = if name.is_empty() {
            format!("column {} of the header has no name", index + 1)
        } else if name.contains('\r') {
            "the header has a carriage return in it; end lines with LF or CRLF".to_owned()
        } else if header.iter().take(index).any(|earlier| earlier == name) {
            format!("the header names the column {name:?} twice")
        } else {
            continue;
        };
        return Err(malformed(problem));
    }
    Ok(())
}

pub(super) fn csv_columns(
    header: &csv::StringRecord,
    record: &csv::StringRecord,
) -> Result<Columns, RecordProblem> {
    let (expected, found) = (header.len(), record.len());
    if expected != found {
        return Err(malformed(format!(
            "the number of columns is {found}, and that of the header {expected}"
        )));
    }
    let mut columns = Columns::default();
    for (name, value) in header.iter().zip(record) {
        columns.add(name, value.into())?;
    }
    Ok(columns)
}

/// The line on which `record` begins. The parser knows only where it is after it: at the start of the
/// next line, because [`Lines`] ends every line.
pub(super) fn first_line(record: &csv::ByteRecord, after: &csv::Position) -> u64 {
    let within = record
        .as_slice()
        .iter()
        .filter(|&&byte| byte == b'\n')
        .count();
    after.line() - 1 - within as u64
}
