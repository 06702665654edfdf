//! Paths in tokens that no parser of Rust understands: what macros are given, and the rules of macros.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A path among tokens.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
}

/// The paths in `tokens`. `with_relative` says whether those count that start with a name of the module around.
pub(crate) fn paths_in(tokens: TokenStream, with_relative: bool) -> Vec<Found> {
    let mut found = Vec::new();
    scan(&trees(tokens), with_relative, &mut found);
    found
}

/// The paths in a text in an attribute, such as `"crate::settings::duration"`; found in line `line`.
pub(crate) fn paths_in_text(text: &str, line: usize) -> Vec<Found> {
    let is_path = text.contains("::") && text.parse::<TokenStream>().is_ok();
    if !is_path {
        return Vec::new();
    }
    let tokens: TokenStream = text.parse().unwrap_or_default();
    let mut found = paths_in(tokens, true);
    for path in &mut found {
        path.line = line;
    }
    found
}

fn trees(tokens: TokenStream) -> Vec<TokenTree> {
    tokens.into_iter().collect()
}

fn scan(tokens: &[TokenTree], with_relative: bool, found: &mut Vec<Found>) {
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Group(group) => scan(&trees(group.stream()), with_relative, found),
            TokenTree::Literal(literal) => {
                let line = literal.span().start().line;
                let text = literal.to_string();
                if let Some(text) = text
                    .strip_prefix('"')
                    .and_then(|text| text.strip_suffix('"'))
                    && ["crate::", "super::", "self::"]
                        .iter()
                        .any(|start| text.starts_with(start))
                {
                    found.extend(paths_in_text(text, line));
                }
            }
            TokenTree::Ident(first) => {
                let name = first.to_string();
                let follows = at.checked_sub(1).map(|before| &tokens[before]);
                // A field, a method or the rest of a path; `..x` and `$crate` are none of these.
                let continues = is_colon(follows) && at > 1 && is_colon(tokens.get(at - 2))
                    || is(follows, '.') && !(at > 1 && is(tokens.get(at - 2), '.'));
                let is_absolute = ["crate", "self", "super"].contains(&name.as_str());
                let is_name = name.chars().next().is_some_and(char::is_uppercase);
                let starts = is_absolute || with_relative && (is_name || is_path(tokens, at + 1));
                if starts && !continues {
                    let line = first.span().start().line;
                    at = rest(tokens, at + 1, &[name], line, found);
                    continue;
                }
            }
            TokenTree::Punct(_) => {}
        }
        at += 1;
    }
}

/// Follows a path whose segments so far are `before`, from the token `at`. Returns where it ends.
fn rest(
    tokens: &[TokenTree],
    at: usize,
    before: &[String],
    line: usize,
    found: &mut Vec<Found>,
) -> usize {
    if is_path(tokens, at) {
        match tokens.get(at + 2) {
            Some(TokenTree::Ident(next)) => {
                let segments = [before, &[next.to_string()]].concat();
                return rest(tokens, at + 3, &segments, line, found);
            }
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let inner = trees(group.stream());
                for branch in inner.split(|token| is(Some(token), ',')) {
                    if let Some(TokenTree::Ident(next)) = branch.first() {
                        let segments = [before, &[next.to_string()]].concat();
                        rest(branch, 1, &segments, next.span().start().line, found);
                    }
                }
                return at + 3;
            }
            _ => {}
        }
    }
    // A lone `self` is a value.
    if before.len() > 1 || !["crate", "self", "super"].contains(&before[0].as_str()) {
        let segments = before.to_vec();
        found.push(Found { segments, line });
    }
    at
}

/// Whether `::` stands at `at`.
fn is_path(tokens: &[TokenTree], at: usize) -> bool {
    is_colon(tokens.get(at)) && is_colon(tokens.get(at + 1))
}

fn is_colon(token: Option<&TokenTree>) -> bool {
    is(token, ':')
}

fn is(token: Option<&TokenTree>, punctuation: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == punctuation)
}
