//! Splits the text of a query into code, quoted texts and comments, as each database does.

/// The databases, as far as their texts differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Postgres,
    MySql,
    Sqlite,
}

/// A piece of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A word, white space, or one other character.
    Code(&'a str),
    /// A text or a quoted name, with its quotes.
    Quoted(&'a str),
    Comment(&'a str),
    /// A parameter: a colon and the name.
    Parameter(&'a str),
    Semicolon,
}

/// A quoted text or a comment without an end; how it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unclosed<'a>(pub(super) &'a str);

/// The pieces of a query, in order; together they are its text.
pub(super) struct Tokens<'a> {
    rest: &'a str,
    dialect: Dialect,
}

impl<'a> Tokens<'a> {
    pub(super) fn of(text: &'a str, dialect: Dialect) -> Self {
        Self {
            rest: text,
            dialect,
        }
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Result<Token<'a>, Unclosed<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let (text, dialect) = (self.rest, self.dialect);
        let first = text.chars().next()?;
        if let Some(length) = comment_length(text, dialect) {
            return Some(length.map(|length| Token::Comment(self.take(length))));
        }
        if let Some(length) = quoted_length(text, dialect) {
            return Some(length.map(|length| Token::Quoted(self.take(length))));
        }
        Some(Ok(match first {
            ';' => {
                self.take(1);
                Token::Semicolon
            }
            // `::` is a cast, `:=` an assignment.
            ':' if text.starts_with("::") => Token::Code(self.take(2)),
            ':' => match word_length(&text[1..]) {
                0 => Token::Code(self.take(1)),
                length => Token::Parameter(self.take(1 + length)),
            },
            _ => {
                let word = word_length(text);
                Token::Code(self.take(word.max(first.len_utf8())))
            }
        }))
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$' || !c.is_ascii() && !c.is_whitespace()
}

/// The length of the word that `text` begins with; no word begins with `$`.
fn word_length(text: &str) -> usize {
    if text.starts_with('$') {
        return 0;
    }
    text.find(|c| !is_word(c)).unwrap_or(text.len())
}

type Length<'a> = Option<Result<usize, Unclosed<'a>>>;

/// The length of the comment that `text` begins with.
fn comment_length(text: &str, dialect: Dialect) -> Length<'_> {
    let is_mysql = dialect == Dialect::MySql;
    let line = if let Some(after) = text.strip_prefix("--") {
        // In MySQL, 5--2 is 7.
        !is_mysql || !after.starts_with(|c: char| !c.is_whitespace() && !c.is_control())
    } else {
        is_mysql && text.starts_with('#')
    };
    if line {
        return Some(Ok(text.find('\n').map_or(text.len(), |at| at + 1)));
    }
    if !text.starts_with("/*") {
        return None;
    }
    let (mut depth, mut at) = (1, 2);
    while depth > 0 {
        let rest = text.get(at..)?;
        if rest.is_empty() {
            return Some(Err(Unclosed("/*")));
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
        } else if rest.starts_with("/*") && dialect == Dialect::Postgres {
            depth += 1;
            at += 2;
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    Some(Ok(at))
}

/// The length of the quoted text or name that `text` begins with. A doubled quote inside is two texts here, side by side.
fn quoted_length(text: &str, dialect: Dialect) -> Length<'_> {
    let first = text.chars().next()?;
    match (first, dialect) {
        ('\'' | '"', Dialect::MySql) => Some(until(text, 1, first, true)),
        ('\'' | '"', _) => Some(until(text, 1, first, false)),
        ('`', Dialect::MySql | Dialect::Sqlite) => Some(until(text, 1, '`', false)),
        ('[', Dialect::Sqlite) => Some(until(text, 1, ']', false)),
        ('e' | 'E', Dialect::Postgres) if text[1..].starts_with('\'') => Some(escape_string(text)),
        ('$', Dialect::Postgres) => dollar_quoted(text),
        _ => None,
    }
}

/// The length up to the next `quote` at or after `start`.
fn until(text: &str, start: usize, quote: char, backslash: bool) -> Result<usize, Unclosed<'_>> {
    let mut characters = text[start..].char_indices();
    while let Some((at, c)) = characters.next() {
        if backslash && c == '\\' {
            characters.next();
        } else if c == quote {
            return Ok(start + at + 1);
        }
    }
    Err(Unclosed(&text[..start]))
}

/// `E'…'`, whose backslashes escape. After a doubled quote it goes on, and so do its escapes.
fn escape_string(text: &str) -> Result<usize, Unclosed<'_>> {
    let mut length = until(text, 2, '\'', true)?;
    while text[length..].starts_with('\'') {
        length = until(text, length + 1, '\'', true).map_err(|_| Unclosed(&text[..2]))?;
    }
    Ok(length)
}

/// `$tag$…$tag$`; the tag may be empty. `$1` is none.
fn dollar_quoted(text: &str) -> Length<'_> {
    let tag_end = 1 + text[1..].find('$')?;
    let tag = &text[1..tag_end];
    if !tag.chars().all(is_word) || tag.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let quote = &text[..=tag_end];
    let end = text[quote.len()..].find(quote);
    Some(end.map(|at| at + 2 * quote.len()).ok_or(Unclosed(quote)))
}
