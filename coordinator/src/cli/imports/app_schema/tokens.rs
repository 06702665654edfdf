//! The tokens of a script in JavaScript or TypeScript.
//!
//! Only what a schema is written with has to be right. Everything else in the file is passed over, so a character that means
//! nothing here is a token too.

/// What cannot be read, and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// Counted from 1.
    pub(super) line: usize,
    pub(super) reason: String,
}

impl Problem {
    pub(super) fn new(line: usize, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { line, reason }
    }
}

/// A token with the line that it begins in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) line: usize,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// A name or a keyword.
    Name(String),
    /// A text without anything to be computed.
    Text(String),
    /// A template with `${…}` in it.
    Template,
    Number(f64),
    /// `...`, or a single character.
    Mark(&'static str),
    /// A character that no schema has.
    Other(char),
}

/// The marks that a schema is written with, the longer ones first.
const MARKS: [&str; 17] = [
    "...", "=>", "{", "}", "[", "]", "(", ")", ",", ":", ";", ".", "=", "<", ">", "!", "?",
];

/// Cuts `text` into tokens, without comments and white space.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let (kind, length) = match first {
            _ if first.is_whitespace() => (None, first.len_utf8()),
            '/' if rest.starts_with("//") => (None, rest.find('\n').unwrap_or(rest.len())),
            '/' if rest.starts_with("/*") => {
                (None, rest.find("*/").map_or(rest.len(), |end| end + 2))
            }
            '"' | '\'' | '`' => text_or_template(rest, first),
            _ if first.is_ascii_digit() => number(rest),
            _ if is_of_name(first) => {
                let length = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
                (Some(Kind::Name(rest[..length].to_owned())), length)
            }
            _ => match MARKS.iter().find(|mark| rest.starts_with(**mark)) {
                Some(mark) => (Some(Kind::Mark(mark)), mark.len()),
                None => (Some(Kind::Other(first)), first.len_utf8()),
            },
        };
        tokens.extend(kind.map(|kind| Token { line, kind }));
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    tokens
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// A text from its opening quote on: what it says, and its length with both quotes.
fn text_or_template(rest: &str, quote: char) -> (Option<Kind>, usize) {
    let mut said = String::new();
    let mut is_computed = false;
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            _ if c == quote => {
                let kind = match is_computed {
                    true => Kind::Template,
                    false => Kind::Text(said),
                };
                return (Some(kind), at + 1);
            }
            // A quote without an end: an apostrophe in what is no text, such as a regular expression.
            '\n' if quote != '`' => break,
            '\\' => match characters.next() {
                Some((_, 'n')) => said.push('\n'),
                Some((_, 't')) => said.push('\t'),
                Some((_, 'u' | 'x')) => is_computed = true,
                Some((_, '\n')) | None => {}
                Some((_, other)) => said.push(other),
            },
            '$' if quote == '`' && rest[at..].starts_with("${") => is_computed = true,
            _ => said.push(c),
        }
    }
    (Some(Kind::Other(quote)), 1)
}

fn number(rest: &str) -> (Option<Kind>, usize) {
    let is_of_number = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
    let length = rest.find(|c| !is_of_number(c)).unwrap_or(rest.len());
    let kind = match rest[..length].replace('_', "").parse() {
        Ok(number) => Kind::Number(number),
        Err(_) => Kind::Other('0'),
    };
    (Some(kind), length)
}
