//! What only TypeScript has: types, which say nothing about a schema and are passed over.

use super::tokens::{Kind, Token};

/// Words that begin a statement, whose one before may have no semicolon.
const STATEMENTS: [&str; 8] = [
    "export",
    "let",
    "var",
    "type",
    "interface",
    "import",
    "class",
    "function",
];

/// Returns where `as const`, `as T`, `satisfies T` and `!` end that begin at `at`; `at` if there are none.
pub(super) fn end(tokens: &[Token], mut at: usize) -> usize {
    while let Some(token) = tokens.get(at) {
        match &token.kind {
            Kind::Mark("!") => at += 1,
            Kind::Name(word) if word == "as" || word == "satisfies" => {
                at += 1;
                while is_of_type(tokens, at) {
                    at += 1;
                }
                at = end_of_angles(tokens, at);
            }
            _ => break,
        }
    }
    at
}

fn is_of_type(tokens: &[Token], at: usize) -> bool {
    let kind = tokens.get(at).map(|token| &token.kind);
    matches!(kind, Some(Kind::Name(_) | Kind::Mark(".")))
        && !is_word(tokens, at, "as")
        && !is_word(tokens, at, "satisfies")
        && !is_statement(tokens, at)
}

fn is_word(tokens: &[Token], at: usize, word: &str) -> bool {
    matches!(tokens.get(at).map(|token| &token.kind), Some(Kind::Name(name)) if name == word)
}

/// Whether a statement begins here.
fn is_statement(tokens: &[Token], at: usize) -> bool {
    let after_as = at > 0 && is_word(tokens, at - 1, "as");
    STATEMENTS.iter().any(|word| is_word(tokens, at, word))
        || (at > 0 && !after_as && is_word(tokens, at, "const"))
}

/// Returns where `<…>` with types in it ends.
pub(super) fn end_of_angles(tokens: &[Token], from: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(from) {
        match token.kind {
            Kind::Mark("<") => depth += 1,
            Kind::Mark(">") if depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            _ => return from,
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len().max(from)
}
