//! The line of a settings file on which a setting stands.

use toml::de::{DeTable, DeValue};

/// Returns the line, from 1, of the deepest part of `path` that is written in `text`.
pub(super) fn line_of<'p>(text: &str, path: impl IntoIterator<Item = &'p str>) -> Option<usize> {
    let root = DeTable::parse(text).ok()?;
    let root = DeValue::Table(root.into_inner());
    let (mut value, mut start) = (&root, None);
    for part in path {
        let found = match value {
            DeValue::Table(table) => table
                .iter()
                .find(|(key, _)| key.get_ref().as_ref() == part)
                .map(|(key, value)| (key.span().start, value.get_ref())),
            DeValue::Array(items) => part
                .parse::<usize>()
                .ok()
                .and_then(|index| items.get(index))
                .map(|item| (item.span().start, item.get_ref())),
            _ => None,
        };
        let Some((at, inner)) = found else {
            break;
        };
        (value, start) = (inner, Some(at));
    }
    Some(line_at(text, start?))
}

/// Returns the line, from 1, of a byte.
pub(super) fn line_at(text: &str, byte: usize) -> usize {
    1 + text.bytes().take(byte).filter(|&b| b == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_found_however_it_is_written() {
        let text = "token.kid = \"a\"\n\n[worker]\n# slots\nslots = 1\n[[streams]]\nstream = \"a\"\n\
                    [[streams]]\nstream = \"b\"\nparameters = { x = 1,\n y = 2 }\n";
        let line = |path: &str| line_of(text, path.split('.'));
        assert_eq!(line("token.kid"), Some(1));
        assert_eq!(line("worker.slots"), Some(5));
        assert_eq!(line("worker.grace"), Some(3), "its section");
        assert_eq!(line("streams.1.stream"), Some(9));
        assert_eq!(line("streams.1.parameters.y"), Some(11));
        assert_eq!(line("catalog.url"), None);
    }
}
