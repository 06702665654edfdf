//! What is shown at once: lines that fit the width.

use crate::cli::{layout::wrapped, output::LaidOut};

/// Lines, none wider than the width unless a word is.
pub(super) struct Page {
    text: String,
    pub(super) width: usize,
}

impl Page {
    pub(super) fn new(width: usize) -> Self {
        let text = String::new();
        Self { text, width }
    }

    /// Adds a text, which is one line, wrapped below itself.
    pub(super) fn line(&mut self, text: &str) {
        self.item("", text);
    }

    /// Adds a text that begins with `first`, and is wrapped behind it.
    pub(super) fn item(&mut self, first: &str, text: &str) {
        self.push(&wrapped(first, text, self.width));
    }

    pub(super) fn table(&mut self, table: &LaidOut) {
        self.push(table.text());
    }

    fn push(&mut self, lines: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(lines);
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}
