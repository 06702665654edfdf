//! What a failure has in common with the same failure of other stores.

use seedbed_protocol::{StoreId, digest::sha256_hex};

/// Characters of a message that count.
const REASON_CHARS: usize = 160;

/// Characters of a step's name that count.
const STEP_CHARS: usize = 40;

/// Stands for what differs from store to store.
const ANYTHING: &str = "…";

/// Hexadecimal digits of a key: enough to tell all reasons of a catalog apart, and few enough to type.
const KEY_CHARS: usize = 10;

/// Words that an HTTP status follows, which tells causes apart.
const BEFORE_STATUS: [&str; 3] = ["answered", "status", "HTTP"];

/// Words that a host's name follows.
const BEFORE_HOST: [&str; 4] = ["at", "to", "from", "host"];

/// Returns the step, and PowerSync's error code; without one, the message without ids, numbers, times, addresses, hosts and quoted
/// names.
pub(in crate::catalog) fn reason_of(step: &str, message: &str, store_id: &StoreId) -> String {
    // Bounded, whatever a service sends: reasons are in an index.
    let step: String = step.chars().take(STEP_CHARS).collect();
    if let Some(code) = powersync_code(message) {
        let code: String = code.chars().take(REASON_CHARS).collect();
        return format!("{step}: {code}");
    }
    let message = without_store(&without_quoted(message), store_id.as_str());
    let mut common: Vec<&str> = Vec::new();
    let mut before = "";
    for word in message.split_whitespace() {
        let kept = if differs(word, before) {
            ANYTHING
        } else {
            word
        };
        // `1m 30s` and `90s` are the same.
        if kept != ANYTHING || common.last() != Some(&ANYTHING) {
            common.push(kept);
        }
        before = word;
    }
    let common: String = common.join(" ").chars().take(REASON_CHARS).collect();
    format!("{step}: {common}")
}

/// Returns what names a reason in a command or an address.
pub(in crate::catalog) fn key_of(reason: &str) -> String {
    let mut key = sha256_hex(reason);
    key.truncate(KEY_CHARS);
    key
}

/// Returns the code in a reason: PowerSync's, or an HTTP status.
pub(in crate::catalog) fn code_of(reason: &str) -> Option<&str> {
    powersync_code(reason).or_else(|| {
        let words: Vec<&str> = reason.split_whitespace().collect();
        let status = words
            .windows(2)
            .find(|pair| BEFORE_STATUS.contains(&pair[0]) && is_status(pair[1]));
        status.map(|pair| pair[1].trim_matches(|c: char| c.is_ascii_punctuation()))
    })
}

/// The first error code of PowerSync in a text, such as `PSYNC_S2305`.
fn powersync_code(text: &str) -> Option<&str> {
    let code = &text[text.find("PSYNC_")?..];
    let end = code.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    Some(&code[..end.unwrap_or(code.len())])
}

/// Whether a word differs from store to store, or from time to time.
fn differs(word: &str, before: &str) -> bool {
    if is_status(word) && BEFORE_STATUS.contains(&before) {
        return false;
    }
    let has_digit_or_path = |c: char| c.is_ascii_digit() || c == '/' || c == '…';
    word.contains(has_digit_or_path) || is_host(word, before)
}

fn is_status(word: &str) -> bool {
    let number = word.trim_matches(|c: char| c.is_ascii_punctuation());
    let number = number.parse::<u16>();
    number.is_ok_and(|number| (100..600).contains(&number))
}

/// Whether a word is a host's name. One with a single dot may as well be a setting's, which looks the same.
fn is_host(word: &str, before: &str) -> bool {
    let name = word.trim_matches(|c: char| c.is_ascii_punctuation());
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let dots = name.matches('.').count();
    name.chars().all(is_name) && (dots > 1 || dots == 1 && BEFORE_HOST.contains(&before))
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

/// The text without the store's id, wherever it stands as a word or as several.
fn without_store(text: &str, store_id: &str) -> String {
    let mut common = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(store_id) {
        let end = at + store_id.len();
        let starts = !rest[..at].ends_with(char::is_alphanumeric);
        let ends = !rest[end..].starts_with(char::is_alphanumeric);
        common.push_str(&rest[..at]);
        common.push_str(if starts && ends { ANYTHING } else { store_id });
        rest = &rest[end..];
    }
    common + rest
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
            (
                "PowerSync at http://a:1/sync answered 502 Bad Gateway: berlin at 12:31:07",
                "PowerSync at http://b/sync answered 502 Bad Gateway: paris at 09:00:59.123Z",
            ),
            (
                "no route to db-1.eu.example.com after 1m 30s",
                "no route to cache.example.com after 90s",
            ),
            (
                "cannot reach the broker at rabbit.internal: refused",
                "cannot reach the broker at queue.internal: refused",
            ),
            (
                "the job 0190a6b2-6c3e-7c5a-9d3f-2f1f5a1c7e11 of store=berlin timed out",
                "the job 0190a6b2-7777-7c5a-9d3f-2f1f5a1c7e99 of store=paris timed out",
            ),
        ] {
            assert_eq!(reason("berlin", one), reason("paris", other));
        }
        assert_eq!(reason("a", "x PSYNC_S2101"), "sync: PSYNC_S2101");
        assert_eq!(
            reason("new york", "the store new york has no row"),
            "sync: the store … has no row"
        );
    }

    #[test]
    fn another_failure_is_another_reason() {
        let too_many = reason("a", "answered 403 PSYNC_S2305: buckets");
        assert_ne!(too_many, reason("a", "answered 401 PSYNC_S2101: key"));
        assert_ne!(
            reason("a", "the claims select no bucket"),
            reason("a", "a row has no column")
        );
        assert_ne!(
            reason("b", "the service answered 502: away"),
            reason("b", "the service answered 503: away")
        );
        assert_eq!(
            reason("b", "an \"open quotation"),
            "sync: an …",
            "a quotation without an end goes to the end"
        );
        assert_eq!(
            reason("b", "raise powersync.max_line_mib"),
            "sync: raise powersync.max_line_mib",
            "a setting is no host"
        );
    }

    #[test]
    fn a_reason_has_a_short_key_and_perhaps_a_code() {
        let refused = reason("a", "answered 403 PSYNC_S2305: buckets");
        assert_eq!(code_of(&refused), Some("PSYNC_S2305"));
        let away = reason("a", "the service answered 502: away");
        assert_eq!(code_of(&away), Some("502"));
        assert_eq!(code_of("sync: the sync stream broke off"), None);
        assert_ne!(key_of(&refused), key_of(&away));
        assert_eq!(key_of(&away).len(), KEY_CHARS);
    }
}
