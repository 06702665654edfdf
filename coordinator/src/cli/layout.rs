//! How wide what is printed may be: tables that drop their least important columns, and lines that are wrapped.

use std::{env, io::IsTerminal};

use comfy_table::{CellAlignment, Table, presets};
use terminal_size::{Width, terminal_size_of};
use unicode_width::UnicodeWidthStr;

use super::output::LaidOut;
use seedbed_protocol::text::visible;

/// The width where there is no terminal: the same for every reader of a pipe.
const WITHOUT_TERMINAL: usize = 80;

/// Narrower is not asked for by anybody: words have to fit.
const NARROWEST: usize = 20;

/// Between two columns.
const GAP: usize = 2;

/// What stands for the rest of a text that is cut.
const CUT: &str = "…";

/// Returns how many columns of characters a line may have: `COLUMNS`, or the terminal's, or 80.
pub(super) fn width() -> usize {
    let asked = env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    let stdout = std::io::stdout();
    let width = asked.unwrap_or_else(|| match stdout.is_terminal() {
        true => {
            terminal_size_of(&stdout).map_or(WITHOUT_TERMINAL, |(Width(columns), _)| columns.into())
        }
        false => WITHOUT_TERMINAL,
    });
    width.max(NARROWEST)
}

/// A column of a [`Sheet`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) name: &'static str,
    /// Those with the lowest go first when there is no room.
    pub(super) importance: u8,
    pub(super) is_number: bool,
}

/// A table that is made to fit.
pub(super) struct Sheet {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Sheet {
    /// A table with these columns: name, importance, and whether they hold numbers.
    pub(super) fn new(columns: &[(&'static str, u8, bool)]) -> Self {
        let columns = columns.iter().map(|&(name, importance, is_number)| Column {
            name,
            importance,
            is_number,
        });
        Self {
            columns: columns.collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row: a text for each column.
    pub(super) fn add<Cell: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let cells = cells.into_iter();
        let cells = cells.map(|cell| visible(cell.as_ref()).into_owned());
        self.rows.push(cells.collect());
    }

    /// The lines, none of which is wider than `width`.
    pub(super) fn fit(mut self, width: usize) -> LaidOut {
        // One long text must not take the room of all others.
        let widest = (width * 2 / 3).max(NARROWEST);
        for row in &mut self.rows {
            for (cell, column) in row.iter_mut().zip(&self.columns) {
                if !column.is_number {
                    *cell = squeezed(cell, widest);
                }
            }
        }
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|index| self.width_of(index))
            .collect();
        let kept = self.kept(&widths, width);
        if let [only] = kept[..] {
            for row in &mut self.rows {
                row[only] = squeezed(&row[only], width);
            }
        }
        let names: Vec<&str> = kept.iter().map(|&index| self.columns[index].name).collect();
        // Without lines of its own, as other command line tools print them.
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(names);
        for row in &self.rows {
            table.add_row(kept.iter().map(|&index| &row[index]));
        }
        for (column, &index) in table.column_iter_mut().zip(&kept) {
            column.set_padding((0, GAP as u16));
            if self.columns[index].is_number {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        LaidOut::new(table.trim_fmt())
    }

    /// The places of the columns for which there is room, the important ones first to have some; at least one.
    fn kept(&self, widths: &[usize], width: usize) -> Vec<usize> {
        let mut by_importance: Vec<usize> = (0..self.columns.len()).collect();
        by_importance.sort_by_key(|&index| std::cmp::Reverse(self.columns[index].importance));
        let mut kept = Vec::new();
        let mut used = 0;
        for index in by_importance {
            let more = if kept.is_empty() {
                widths[index]
            } else {
                widths[index] + GAP
            };
            if kept.is_empty() || used + more <= width {
                used += more;
                kept.push(index);
            }
        }
        kept.sort_unstable();
        kept
    }

    fn width_of(&self, index: usize) -> usize {
        let cells = self.rows.iter().map(|row| row[index].width());
        cells
            .max()
            .unwrap_or(0)
            .max(self.columns[index].name.width())
    }
}

/// Returns both ends of a text that is too wide: ids differ at either.
fn squeezed(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let end_width = width.saturating_sub(CUT.width()) / 2;
    let mut end: Vec<char> = Vec::new();
    for character in text.chars().rev() {
        end.push(character);
        if end.iter().collect::<String>().width() > end_width {
            end.pop();
            break;
        }
    }
    let end: String = end.iter().rev().collect();
    cut(text, width - end.width()) + &end
}

/// Returns the beginning of a text that is too wide.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    for character in text.chars() {
        kept.push(character);
        if kept.width() + CUT.width() > width {
            kept.pop();
            break;
        }
    }
    kept + CUT
}

/// Returns a text, which is one line, as lines no wider than `width`: the first begins with `first`, the others with as many
/// blanks. Only a word that is wider than that breaks the rule, so that it can be copied.
pub(super) fn wrapped(first: &str, text: &str, width: usize) -> String {
    let indent = " ".repeat(first.width());
    let mut lines = String::new();
    let mut line = first.to_owned();
    let mut is_empty = true;
    for word in visible(text).split_whitespace() {
        let gap = usize::from(!is_empty);
        if !is_empty && line.width() + gap + word.width() > width {
            lines.push_str(line.trim_end());
            lines.push('\n');
            line = indent.clone();
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    lines.push_str(line.trim_end());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs() -> Sheet {
        let mut sheet = Sheet::new(&[
            ("STARTED", 9, false),
            ("STATE", 10, false),
            ("ROWS", 1, true),
            ("FAILED", 8, true),
        ]);
        sheet.add(["09:14", "completed", "1,234,567", "0"]);
        sheet.add(["08:14", "failed", "17", "12"]);
        sheet
    }

    fn lines(width: usize) -> Vec<String> {
        let text = runs().fit(width).text().to_owned();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_least_important_columns_go_first() {
        let all = lines(80);
        assert_eq!(all[0], "STARTED  STATE           ROWS  FAILED");
        assert_eq!(all[1], "09:14    completed  1,234,567       0");
        assert_eq!(lines(30)[0], "STARTED  STATE      FAILED");
        assert_eq!(lines(25)[0], "STARTED  STATE");
        assert_eq!(lines(4), ["STATE", "co…d", "fa…d"]);
        for width in 9..60 {
            let too_wide = lines(width).into_iter().find(|line| line.width() > width);
            assert_eq!(too_wide, None, "{width}");
        }
    }

    #[test]
    fn a_long_line_is_wrapped_below_its_beginning() {
        assert_eq!(
            wrapped("  ", "one two three four", 12),
            "  one two\n  three four"
        );
        assert_eq!(
            wrapped("note: ", "a\nb \u{202e}c", 40),
            "note: a\\nb \\u{202e}c"
        );
        assert_eq!(wrapped("x ", "averylongword b", 6), "x averylongword\n  b");
        assert_eq!(wrapped("", "", 10), "");
        assert_eq!(wrapped("", "日本語 日本語", 7), "日本語\n日本語");
    }

    #[test]
    fn a_text_is_cut_where_it_is_too_wide() {
        assert_eq!(cut("berlin", 6), "berlin");
        assert_eq!(cut("berlin", 4), "ber…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(squeezed("0190a6b2-0001", 9), "0190…0001");
        assert_eq!(squeezed("berlin", 6), "berlin");
    }
}
