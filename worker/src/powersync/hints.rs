//! What to do about each error code of the PowerSync service that a job can meet. The codes are those of its
//! documentation (<https://docs.powersync.com/debugging/error-codes>) and of recordings of 1.25.0; what the service says
//! of its own replication and of its dashboard's API never reaches a sync stream.

use reqwest::StatusCode;

/// Codes, each with what a person can do.
const HINTS: [(&str, &str); 28] = [
    (
        "PSYNC_S0001",
        "a bug of the service; its log says more, and a newer version may not have it",
    ),
    (
        "PSYNC_S1002",
        "the service does not replicate a row of more than 15 MB; make it smaller, or leave it out of the sync config",
    ),
    (
        "PSYNC_S1003",
        "another process of the service replicates; this passes a minute after its restart",
    ),
    (
        "PSYNC_S1004",
        "the service does not replicate JSON that is nested more than 20 levels deep",
    ),
    (
        "PSYNC_S1005",
        "the service's storage is of a newer version than the service; run that version again",
    ),
    ("PSYNC_S2001", "the service's log says more"),
    ("PSYNC_S2002", "is powersync.endpoint right?"),
    ("PSYNC_S2003", "the service restarts; this passes by itself"),
    (
        "PSYNC_S2004",
        "something between here and the service changes requests",
    ),
    ("PSYNC_S2101", KEY),
    ("PSYNC_S2102", KEY),
    ("PSYNC_S2103", CLOCK),
    (
        "PSYNC_S2104",
        "make token.lifetime shorter, or compare this machine's clock with the service's",
    ),
    (
        "PSYNC_S2105",
        "set token.audience to one of client_auth.audience of the service (with Supabase Auth: authenticated; for \
         PowerSync Cloud the instance's URL is one)",
    ),
    (
        "PSYNC_S2106",
        "the token did not arrive: a proxy between here and the service removes the Authorization header",
    ),
    (
        "PSYNC_S2201",
        "correct client_auth in the service's configuration; its log says what is wrong there",
    ),
    (
        "PSYNC_S2202",
        "the service cannot reach the jwks_uri of its client_auth by IPv6; give it a host with an IPv4 address",
    ),
    (
        "PSYNC_S2203",
        "the service does not ask private addresses for the jwks_uri of its client_auth; set \
         client_auth.block_local_jwks: false there, or give it a public one",
    ),
    (
        "PSYNC_S2204",
        "the service cannot fetch the jwks_uri of its client_auth; is that server up, and does it answer the service?",
    ),
    (
        "PSYNC_S2302",
        "the service has no sync config yet, or is still replicating; its log says how far it is",
    ),
    (
        "PSYNC_S2304",
        "waiting for PowerSync's limit of streams, which costs no attempt; if it lasts, lower powersync.max_streams or \
         the number of workers",
    ),
    (
        "PSYNC_S2305",
        "the store's claims select more buckets than the service allows; narrow the sync config, or split the store",
    ),
    ("PSYNC_S2401", STORAGE),
    ("PSYNC_S2402", STORAGE),
    (
        "PSYNC_S2403",
        "the service's storage database is too slow; this may pass, and fewer streams at a time help",
    ),
    ("PSYNC_S2404", STORAGE),
    ("PSYNC_S3102", JWKS),
    ("PSYNC_S3103", JWKS),
];

const KEY: &str =
    "check token.secret or token.key_file and token.kid against the service's client_auth";
const CLOCK: &str = "compare this machine's clock with the service's";
const STORAGE: &str =
    "the service cannot use its storage database; is it up, and is its log clean?";
const JWKS: &str = "correct the jwks_uri of client_auth in the service's configuration";

/// Returns what to do about a refusal, if there is something to say.
pub(super) fn hint(code: Option<&str>, status: StatusCode) -> Option<&'static str> {
    match (code, status) {
        (Some(code), _) => {
            let mut hints = HINTS.iter();
            let known = hints
                .find(|(known, _)| *known == code)
                .map(|(_, hint)| *hint);
            known.or_else(|| family(code))
        }
        (None, StatusCode::NOT_FOUND) => Some("is powersync.endpoint right?"),
        (None, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Some(
            "this is no answer of PowerSync: a proxy in front of it asks for something else; is powersync.endpoint right?",
        ),
        (None, StatusCode::TOO_MANY_REQUESTS) => {
            Some("waiting for PowerSync's limit of streams, which costs no attempt")
        }
        (None, _) => None,
    }
}

/// What a code says by its first digits, for those that are newer than this table.
fn family(code: &str) -> Option<&'static str> {
    let families = [
        ("PSYNC_R", "correct the service's sync config"),
        (
            "PSYNC_S1",
            "the service cannot replicate; its log says more",
        ),
        ("PSYNC_S21", KEY),
        (
            "PSYNC_S22",
            "correct client_auth in the service's configuration",
        ),
        ("PSYNC_S24", STORAGE),
        ("PSYNC_S3", "correct the service's configuration"),
    ];
    let mut families = families.into_iter();
    families
        .find(|(start, _)| code.starts_with(start))
        .map(|(_, hint)| hint)
}

/// Returns whether a later request may succeed although the status says otherwise, or the other way round; `None` where
/// the status decides.
pub(super) fn passes(code: &str) -> Option<bool> {
    match code {
        // The service could not fetch its keys, or restarts.
        "PSYNC_S2204" | "PSYNC_S2003" => Some(true),
        // "Too many buckets or parameter results" has been seen with status 500.
        "PSYNC_S2305" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_there_once_and_newer_ones_fall_back_to_their_family() {
        let mut codes = HINTS.map(|(code, _)| code);
        assert!(codes.is_sorted());
        codes.sort_unstable();
        assert!(codes.windows(2).all(|pair| pair[0] != pair[1]));
        let of = |code| hint(Some(code), StatusCode::UNAUTHORIZED);
        assert!(of("PSYNC_S2105").unwrap().contains("token.audience"));
        assert_eq!(of("PSYNC_S2199"), Some(KEY));
        assert_eq!(of("FST_ERR_CTP_INVALID_JSON_BODY"), None);
    }
}
