//! The parts of an SQL query: words, names, texts and marks.

/// A part of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Word(String),
    /// A name in double quotes or backticks.
    Name(String),
    Text(String),
    Mark(&'static str),
    Other,
}

const MARKS: [&str; 14] = [
    "->>", "->", "<>", "<=", ">=", "!=", "==", "||", "(", ")", ",", ".", "=", ";",
];

/// Cuts a query into parts, without comments.
pub(super) fn parts(query: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = query;
    while let Some(first) = rest.chars().next() {
        let is_of_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
        let (part, length) = match first {
            _ if first.is_whitespace() => (None, first.len_utf8()),
            '-' if rest.starts_with("--") => (None, rest.find('\n').unwrap_or(rest.len())),
            '/' if rest.starts_with("/*") => {
                (None, rest.find("*/").map_or(rest.len(), |end| end + 2))
            }
            '\'' | '"' | '`' => {
                let end = rest[1..].find(first).map_or(rest.len(), |end| end + 2);
                let inner = rest[1..end].trim_end_matches(first).to_owned();
                let part = match first {
                    '\'' => Part::Text(inner),
                    _ => Part::Name(inner),
                };
                (Some(part), end)
            }
            _ if is_of_word(first) => {
                let length = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
                (Some(Part::Word(rest[..length].to_owned())), length)
            }
            _ => match MARKS.iter().find(|mark| rest.starts_with(**mark)) {
                Some(mark) => (Some(Part::Mark(mark)), mark.len()),
                None => (Some(Part::Other), first.len_utf8()),
            },
        };
        parts.extend(part);
        rest = &rest[length..];
    }
    parts
}

pub(super) fn mark(parts: &[Part], at: usize) -> Option<&'static str> {
    match parts.get(at) {
        Some(Part::Mark(mark)) => Some(mark),
        _ => None,
    }
}

pub(super) fn word(parts: &[Part], at: usize) -> Option<&str> {
    match parts.get(at) {
        Some(Part::Word(word)) => Some(word),
        _ => None,
    }
}

/// A name, with or without quotes.
pub(super) fn name(parts: &[Part], at: usize) -> Option<&str> {
    match parts.get(at) {
        Some(Part::Word(name) | Part::Name(name)) => Some(name),
        _ => None,
    }
}

pub(super) fn is_word(parts: &[Part], at: usize, wanted: &str) -> bool {
    word(parts, at).is_some_and(|word| word.eq_ignore_ascii_case(wanted))
}
