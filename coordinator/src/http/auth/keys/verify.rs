//! Verifies a token with keys, and says why it is not accepted.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, Validation};
use serde_json::{Map, Value, value::RawValue};

use super::{
    algorithm::{self, algorithm},
    key::Key,
};

/// How far the clock of who signs tokens may be off, in seconds.
pub(in crate::http) const LEEWAY: u64 = 30;

/// What the header of a token says.
pub(in crate::http) struct TokenHeader {
    algorithm: Algorithm,
    pub(in crate::http) kid: Option<String>,
}

impl TokenHeader {
    /// Reads the header, before anything is verified.
    pub(in crate::http) fn of(token: &str) -> Result<Self, &'static str> {
        let malformed = "it is not a signed JWT";
        let (header, rest) = token.split_once('.').ok_or(malformed)?;
        if rest.matches('.').count() != 1 {
            return Err(malformed);
        }
        let json = URL_SAFE_NO_PAD.decode(header).map_err(|_| malformed)?;
        let header: Map<String, Value> = serde_json::from_slice(&json).map_err(|_| malformed)?;
        if header.contains_key("crit") {
            // RFC 7515, 4.1.11: who does not understand each of them must refuse the token.
            return Err("its header has crit, and no extension is understood here");
        }
        let name = header.get("alg").and_then(Value::as_str).ok_or(malformed)?;
        Ok(Self {
            algorithm: algorithm(name)?,
            kid: header.get("kid").and_then(Value::as_str).map(str::to_owned),
        })
    }
}

/// The claims of the token if one of `keys` verifies it; otherwise why not, if one of them is named at all.
pub(in crate::http) fn verified(
    token: &str,
    header: &TokenHeader,
    keys: &[Key],
    validation: &Validation,
) -> Result<Box<RawValue>, Option<String>> {
    let (mut unfit, mut failed) = (None, None);
    for key in keys
        .iter()
        .filter(|key| key.is_named(header.kid.as_deref()))
    {
        if !key.algorithms.contains(&header.algorithm) {
            let (used, known) = (header.algorithm, algorithm::names(&key.algorithms));
            unfit = Some(format!(
                "it is signed with {used:?}, and the key here verifies {known}"
            ));
            continue;
        }
        let mut validation = validation.clone();
        validation.algorithms = vec![header.algorithm];
        match jsonwebtoken::decode::<Box<RawValue>>(token, &key.key, &validation) {
            Ok(decoded) => return Ok(decoded.claims),
            // What a signature covers says more than that another key did not make it.
            Err(error) if is_wrong_signature(&error) => {
                failed.get_or_insert("its signature is wrong");
            }
            Err(error) => failed = Some(reason(&error)),
        }
    }
    Err(failed.map(str::to_owned).or(unfit))
}

fn is_wrong_signature(error: &jsonwebtoken::errors::Error) -> bool {
    matches!(
        error.kind(),
        jsonwebtoken::errors::ErrorKind::InvalidSignature
    )
}

fn reason(error: &jsonwebtoken::errors::Error) -> &'static str {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::ExpiredSignature => "it has expired",
        ErrorKind::ImmatureSignature => "it is not valid yet",
        ErrorKind::InvalidIssuer => "its issuer (iss) is another one",
        ErrorKind::InvalidAudience => "its audience (aud) is another one",
        ErrorKind::MissingRequiredClaim(_) => "it lacks exp, iss or aud",
        _ => "it is malformed",
    }
}
