//! Answers in CSV (RFC 4180).

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use seedbed_protocol::text;

use crate::http::problem::Problem;

/// A table under construction.
pub(super) struct Csv {
    name: &'static str,
    writer: csv::Writer<Vec<u8>>,
}

impl Csv {
    /// Begins the file `name`.
    pub(super) fn new(name: &'static str, columns: &[&str]) -> Result<Self, Problem> {
        let mut csv = Self {
            name,
            writer: csv::Writer::from_writer(Vec::new()),
        };
        csv.row(columns)?;
        Ok(csv)
    }

    /// Adds a row. Texts that are not of a fixed list go through [`inert`] first.
    pub(super) fn row<T: AsRef<[u8]>>(
        &mut self,
        cells: impl IntoIterator<Item = T>,
    ) -> Result<(), Problem> {
        self.writer.write_record(cells).map_err(failed)
    }

    /// The answer, which browsers save under the file's name.
    pub(super) fn done(self) -> Result<Response, Problem> {
        let content = self
            .writer
            .into_inner()
            .map_err(|e| failed(e.into_error()))?;
        let saved = format!("attachment; filename=\"{}\"", self.name);
        let headers = [
            (
                header::CONTENT_TYPE,
                HeaderValue::from_static("text/csv; charset=utf-8"),
            ),
            (
                header::CONTENT_DISPOSITION,
                HeaderValue::from_str(&saved).map_err(failed)?,
            ),
        ];
        Ok((headers, content).into_response())
    }
}

fn failed(error: impl std::error::Error) -> Problem {
    Problem::failed("writing CSV", &error, false)
}

/// A text that no spreadsheet takes for a formula, with what hides in it spelled out.
pub(super) fn inert(text: &str) -> String {
    let shown = text::visible(text);
    if shown.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        return format!("'{shown}");
    }
    shown.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_no_formula() {
        assert_eq!(inert("=1+1"), "'=1+1");
        assert_eq!(inert("@store"), "'@store");
        assert_eq!(inert("store-1"), "store-1");
    }
}
