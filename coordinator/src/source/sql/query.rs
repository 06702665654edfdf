//! `source.query`: one statement, with `:since` written as each database writes parameters.

use super::scanner::{Dialect, Token, Tokens};
use crate::source::error::SourceError;

/// Stands for the time after which a store must have changed to be listed.
const SINCE: &str = ":since";

/// The configured query, in pieces between which the time goes that `:since` stands for.
#[derive(Debug, Clone)]
pub(super) struct Query(Vec<String>);

impl Query {
    /// `:since` counts as a parameter outside of quotes and comments, where databases do not look for parameters either.
    /// A semicolon ends the query; nothing but comments may follow.
    ///
    /// # Errors
    /// When there is no statement, or more than one, or a quote or comment has no end.
    pub(super) fn parse(text: &str, dialect: Dialect) -> Result<Self, SourceError> {
        let refused = |problem: String| SourceError::QueryText { problem };
        let mut pieces = vec![String::new()];
        let (mut is_empty, mut has_ended) = (true, false);
        for token in Tokens::of(text.trim(), dialect) {
            let token = token.map_err(|unclosed| {
                let start = unclosed.0;
                refused(format!("has a {start} that is never closed; close it"))
            })?;
            let piece = match token {
                Token::Semicolon => {
                    has_ended |= !is_empty;
                    continue;
                }
                Token::Comment(piece) if has_ended || piece.is_empty() => continue,
                Token::Comment(piece) => piece,
                Token::Code(piece) if piece.trim().is_empty() => piece,
                Token::Code(_) | Token::Quoted(_) | Token::Parameter(_) if has_ended => {
                    return Err(refused(
                        "has more than one statement; keep the one that lists stores".to_owned(),
                    ));
                }
                Token::Parameter(SINCE) => {
                    is_empty = false;
                    pieces.push(String::new());
                    continue;
                }
                Token::Code(piece) | Token::Quoted(piece) | Token::Parameter(piece) => {
                    is_empty = false;
                    piece
                }
            };
            if let Some(last) = pieces.last_mut() {
                last.push_str(piece);
            }
        }
        if is_empty {
            return Err(SourceError::NoQuery);
        }
        if let Some(last) = pieces.last_mut() {
            last.truncate(last.trim_end().len());
        }
        Ok(Self(pieces))
    }

    pub(super) fn has_since(&self) -> bool {
        self.0.len() > 1
    }

    /// The query with `parameter` wherever `:since` was, and how often that is.
    pub(super) fn with(&self, parameter: &str) -> (String, usize) {
        (self.0.join(parameter), self.0.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Dialect; 3] = [Dialect::Postgres, Dialect::MySql, Dialect::Sqlite];

    fn with(text: &str, dialect: Dialect) -> (String, usize) {
        Query::parse(text, dialect).unwrap().with("?")
    }

    fn refused(text: &str, dialect: Dialect) -> String {
        Query::parse(text, dialect).unwrap_err().to_string()
    }

    #[test]
    fn since_is_a_parameter_outside_of_quotes_and_comments() {
        for dialect in ALL {
            let (query, times) = with("SELECT id FROM s WHERE t > :since OR u>:since", dialect);
            assert_eq!(query, "SELECT id FROM s WHERE t > ? OR u>?");
            assert_eq!(times, 2);
            for untouched in [
                "SELECT ':since', \":since\" FROM s -- :since\nWHERE 1 /* :since */",
                "SELECT 'it''s :since', \"a\"\":since\"",
                "SELECT t::since, :since_then, :sincé FROM größe",
                "SELECT a -- :since ; '\n FROM s",
            ] {
                assert_eq!(with(untouched, dialect), (untouched.to_owned(), 0));
            }
        }
    }

    #[test]
    fn each_database_quotes_and_comments_in_its_own_way() {
        use Dialect::{MySql, Postgres, Sqlite};
        for (dialect, text, since) in [
            (MySql, r"SELECT 'it\'s', :since, 'x'", 1),
            (MySql, r#"SELECT "a\" :since", :since"#, 1),
            (MySql, r"SELECT 'C:\\', :since", 1),
            (MySql, "SELECT `a:since` # :since '\n, :since", 1),
            (MySql, "SELECT 5--2 + :since", 1),
            (MySql, "SELECT 1 /* /* :since */, :since", 1),
            (Postgres, r"SELECT 'C:\', :since", 1),
            (Postgres, r"SELECT E'it\'s :since', :since", 1),
            (Postgres, r"SELECT e'a'' \' :since', :since", 1),
            (Postgres, r"SELECT name'\', :since", 1),
            (
                Postgres,
                "SELECT $$ ' :since $$, $a$ $$ :since $a$, :since",
                1,
            ),
            (Postgres, "SELECT a$b$, :since, $1", 1),
            (Postgres, "SELECT 1 /* a /* b */ :since */, :since", 1),
            (Postgres, "SELECT x #> '{a}', x ? 'b', :since", 1),
            (Postgres, "SELECT a[1], :since", 1),
            (Sqlite, r"SELECT 'C:\', :since", 1),
            (Sqlite, "SELECT [a:since], `b:since`, :since", 1),
            (Sqlite, "SELECT 5--2 :since\n, :since", 1),
        ] {
            assert_eq!(with(text, dialect).1, since, "{dialect:?}: {text}");
        }
    }

    #[test]
    fn a_query_ends_at_its_semicolon() {
        for dialect in ALL {
            for text in [
                "SELECT 1",
                "SELECT 1;",
                " SELECT 1 ; ;\n",
                "SELECT 1; -- all; of 'them\n",
                "SELECT 1; /* it's ; all */ ;",
                ";SELECT 1",
            ] {
                assert_eq!(with(text, dialect).0, "SELECT 1", "{dialect:?}: {text}");
            }
            for kept in ["SELECT ';' -- a; b", "SELECT 1 /* ; */ + 1"] {
                assert_eq!(with(kept, dialect).0, kept);
            }
            for empty in ["", " ;", "-- nothing", "/* nothing */;"] {
                assert!(refused(empty, dialect).contains("source.query is missing"));
            }
            for several in ["SELECT 1; DROP TABLE s", "SELECT 1; :since", "SELECT 1;'x'"] {
                let error = refused(several, dialect);
                assert!(error.contains("more than one statement"), "{error}");
            }
            for (text, start) in [("SELECT 'a", "'"), ("SELECT 1 /* a", "/*")] {
                let error = refused(text, dialect);
                assert!(
                    error.contains(&format!("a {start} that is never")),
                    "{error}"
                );
            }
        }
    }
}
