//! What a failure has in common with the same failure of other stores.

use seedbed_protocol::StoreId;

/// Characters of a message that count.
const REASON_CHARS: usize = 160;

/// Stands for what differs from store to store.
const ANYTHING: &str = "…";

/// Returns the step, and PowerSync's error code; without one, the message without ids, numbers, addresses and quoted names.
pub(in crate::catalog) fn reason_of(step: &str, message: &str, store_id: &StoreId) -> String {
    if let Some(code) = powersync_code(message) {
        return format!("{step}: {code}");
    }
    let mut common = String::new();
    for word in without_quoted(message).split_whitespace() {
        let word = if word.trim_matches(|c: char| c.is_ascii_punctuation()) == store_id.as_str()
            || word.contains(|c: char| c.is_ascii_digit() || c == '/')
        {
            ANYTHING
        } else {
            word
        };
        if !common.is_empty() {
            common.push(' ');
        }
        common.push_str(word);
    }
    let common: String = common.chars().take(REASON_CHARS).collect();
    format!("{step}: {common}")
}

/// The first error code of PowerSync in a text, such as `PSYNC_S2305`.
fn powersync_code(text: &str) -> Option<&str> {
    let code = &text[text.find("PSYNC_")?..];
    let end = code.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    Some(&code[..end.unwrap_or(code.len())])
}

/// The text with what stands in quotation marks left out.
fn without_quoted(text: &str) -> String {
    let mut parts = text.split('"');
    let mut common = parts.next().unwrap_or_default().to_owned();
    while parts.next().is_some() {
        common.push_str(ANYTHING);
        common.push_str(parts.next().unwrap_or_default());
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(store: &str, message: &str) -> String {
        reason_of("sync", message, &StoreId::new(store).unwrap())
    }

    #[test]
    fn the_same_failure_of_two_stores_is_one_reason() {
        for (one, other) in [
            (
                "PowerSync at http://a:1 answered 403 PSYNC_S2305: 1200 buckets",
                "PowerSync at http://b:2 answered 500 PSYNC_S2305: 1301 buckets; fewer",
            ),
            (
                "the schema lacks \"prices\" of berlin, 12 rows",
                "the schema lacks \"stock\" of paris, 7 rows",
            ),
        ] {
            assert_eq!(reason("berlin", one), reason("paris", other));
        }
        assert_eq!(reason("a", "x PSYNC_S2101"), "sync: PSYNC_S2101");
    }

    #[test]
    fn another_failure_is_another_reason() {
        let too_many = reason("a", "answered 403 PSYNC_S2305: buckets");
        assert_ne!(too_many, reason("a", "answered 401 PSYNC_S2101: key"));
        assert_ne!(
            reason("a", "the claims select no bucket"),
            reason("a", "a row has no column")
        );
        assert_eq!(
            reason("a", "an \"open quotation"),
            "sync: an …",
            "a quotation without an end goes to the end"
        );
    }
}
