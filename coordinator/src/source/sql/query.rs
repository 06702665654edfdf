//! `source.query`, with `:since` written as each database writes parameters.

/// Stands for the time after which a store must have changed to be listed.
const SINCE: &str = ":since";

/// The configured query, in pieces between which the time goes that `:since` stands for.
#[derive(Debug, Clone)]
pub(super) struct Query(Vec<String>);

impl Query {
    /// `:since` counts as a parameter outside of quotes and comments, where databases do not look for parameters either.
    pub(super) fn parse(text: &str) -> Self {
        let mut pieces = vec![String::new()];
        let mut rest = text;
        while !rest.is_empty() {
            let literal = literal_length(rest);
            let (taken, after) = match rest.strip_prefix(SINCE) {
                Some(after) if !after.starts_with(|c: char| c.is_alphanumeric() || c == '_') => {
                    pieces.push(String::new());
                    ("", after)
                }
                // `::` is a cast.
                _ if rest.starts_with("::") => rest.split_at(2),
                _ if literal > 0 => rest.split_at(literal),
                _ => rest.split_at(rest.chars().next().map_or(0, char::len_utf8)),
            };
            if let Some(piece) = pieces.last_mut() {
                piece.push_str(taken);
            }
            rest = after;
        }
        Self(pieces)
    }

    pub(super) fn has_since(&self) -> bool {
        self.0.len() > 1
    }

    /// The query with `parameter` wherever `:since` was, and how often that is.
    pub(super) fn with(&self, parameter: &str) -> (String, usize) {
        (self.0.join(parameter), self.0.len() - 1)
    }
}

/// The length of the quoted text or comment that `text` begins with; 0 if it begins with neither. One that is not closed goes
/// on to the end.
fn literal_length(text: &str) -> usize {
    let until = |start: usize, end: &str| {
        let found = text[start..].find(end);
        found.map_or(text.len(), |at| start + at + end.len())
    };
    match text.as_bytes() {
        [b'\'', ..] => until(1, "'"),
        [b'"', ..] => until(1, "\""),
        [b'`', ..] => until(1, "`"),
        [b'-', b'-', ..] => until(2, "\n"),
        [b'/', b'*', ..] => until(2, "*/"),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_parameter_outside_of_quotes_and_comments() {
        let with = |query: &str| Query::parse(query).with("?");
        let (query, times) = with("SELECT id FROM s WHERE t > :since OR u > :since");
        assert_eq!(query, "SELECT id FROM s WHERE t > ? OR u > ?");
        assert_eq!(times, 2);
        for untouched in [
            "SELECT ':since', \":since\", `:since` FROM s -- :since\nWHERE 1 /* :since */",
            "SELECT t::since, :since_then FROM größe",
            "SELECT 'not closed :since",
        ] {
            assert_eq!(with(untouched), (untouched.to_owned(), 0));
        }
    }
}
