//! Signature algorithms by the names that tokens and published keys give them, and what to say of one that is not known.

use jsonwebtoken::Algorithm;

/// Returns the algorithm with this name.
///
/// # Errors
/// Why none is, and what to sign with instead. Says nothing of a name that it does not know: anyone may have made it up.
pub(super) fn algorithm(name: &str) -> Result<Algorithm, &'static str> {
    name.parse().map_err(|_| match name {
        "none" => "it is not signed (its algorithm is none)",
        "Ed25519" => {
            "its algorithm is Ed25519, which is the new name of EdDSA (RFC 9864); sign it as EdDSA, with the same key"
        }
        "ES512" => {
            "its algorithm is ES512, which is not verified here; sign it with ES384 and a key on P-384, or with ES256 and \
             a key on P-256"
        }
        "ES256K" | "Ed448" => {
            "its algorithm is not verified here; sign it with ES256 and a key on P-256, or with EdDSA and an Ed25519 key"
        }
        _ => "its algorithm is not known here",
    })
}

/// Returns the names of algorithms, for people.
pub(super) fn names(algorithms: &[Algorithm]) -> String {
    let names: Vec<_> = algorithms.iter().map(|a| format!("{a:?}")).collect();
    names.join(", ")
}
