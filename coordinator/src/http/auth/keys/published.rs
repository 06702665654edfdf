//! One key of a JWK set: whether it verifies signatures, by what it says of itself, and with which algorithms.

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk},
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    algorithm::algorithm,
    key::{Key, RSA},
};

/// Returns a public key that verifies signatures. Shared secrets are refused: anyone can read the set.
///
/// # Errors
/// The key's id, and why it is left out.
pub(super) fn published_key(mut jwk: Value) -> Result<Key, String> {
    let kid = jwk["kid"].as_str().map(str::to_owned);
    read(&mut jwk, kid.clone()).map_err(|reason| match kid {
        Some(kid) => format!("{kid:?}: {reason}"),
        None => format!("a key without kid: {reason}"),
    })
}

fn read(jwk: &mut Value, kid: Option<String>) -> Result<Key, String> {
    let named = purpose(jwk)?;
    // What they say is known by now, and a value that the library does not know would hide the key.
    if let Some(members) = jwk.as_object_mut() {
        for member in ["alg", "use", "key_ops"] {
            members.remove(member);
        }
    }
    let jwk = Jwk::deserialize(&*jwk).map_err(|_| "its kind (kty, crv) is not known here")?;
    let mut algorithms = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => RSA.to_vec(),
        AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
            EllipticCurve::P256 => vec![Algorithm::ES256],
            EllipticCurve::P384 => vec![Algorithm::ES384],
            _ => return Err("its curve is neither P-256 nor P-384".to_owned()),
        },
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            vec![Algorithm::EdDSA]
        }
        AlgorithmParameters::OctetKey(_) => {
            return Err("it is a shared secret, which everyone can read there".to_owned());
        }
        _ => return Err("its kind (kty, crv) is not known here".to_owned()),
    };
    if let Some(named) = named {
        algorithms.retain(|algorithm| *algorithm == named);
        if algorithms.is_empty() {
            return Err(format!("its alg is {named:?}, which does not fit the key"));
        }
    }
    let key = DecodingKey::from_jwk(&jwk).map_err(|e| e.to_string())?;
    Ok(Key {
        kid,
        key,
        algorithms,
    })
}

/// Checks that the key says nothing of itself but that it is for signatures (RFC 7517, 4.2 to 4.4), and returns the one
/// algorithm that it is for, if it names one.
fn purpose(jwk: &Value) -> Result<Option<Algorithm>, String> {
    match &jwk["use"] {
        Value::Null => {}
        Value::String(purpose) if purpose == "sig" => {}
        other => return Err(format!("its use is {other}, not \"sig\"")),
    }
    match &jwk["key_ops"] {
        Value::Null => {}
        Value::Array(operations) if operations.iter().any(|operation| operation == "verify") => {}
        _ => return Err("its key_ops do not include \"verify\"".to_owned()),
    }
    match &jwk["alg"] {
        Value::Null => Ok(None),
        // RFC 9864 gives EdDSA with this curve a name of its own.
        Value::String(name) if name == "Ed25519" => Ok(Some(Algorithm::EdDSA)),
        Value::String(name) => match algorithm(name) {
            Ok(algorithm) => Ok(Some(algorithm)),
            Err(_) => Err(format!("its alg is {name:?}, which signs no tokens here")),
        },
        _ => Err("its alg is no text".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

    fn p256(more: &Value) -> Result<Vec<Algorithm>, String> {
        let mut jwk = json!({"kty": "EC", "crv": "P-256", "kid": "a", "x": X, "y": Y});
        for (name, value) in more.as_object().unwrap() {
            jwk[name] = value.clone();
        }
        published_key(jwk).map(|key| key.algorithms)
    }

    #[test]
    fn a_key_is_used_for_what_it_says_and_for_nothing_else() {
        for more in [
            json!({}),
            json!({"use": "sig"}),
            json!({"alg": "ES256", "key_ops": ["sign", "verify"]}),
        ] {
            assert_eq!(p256(&more).unwrap(), [Algorithm::ES256], "{more}");
        }
        for (more, reason) in [
            (json!({"use": "enc"}), "its use is"),
            (json!({"use": ["sig"]}), "its use is"),
            (json!({"key_ops": ["encrypt", "wrapKey"]}), "key_ops"),
            (json!({"key_ops": []}), "key_ops"),
            (json!({"key_ops": "verify"}), "key_ops"),
            (json!({"alg": "RSA-OAEP"}), "RSA-OAEP"),
            (json!({"alg": "ECDH-ES"}), "ECDH-ES"),
            (json!({"alg": "ES384"}), "does not fit"),
            (json!({"alg": 7}), "no text"),
        ] {
            let left_out = p256(&more).unwrap_err();
            assert!(left_out.starts_with("\"a\": "), "{left_out}");
            assert!(left_out.contains(reason), "{left_out}");
        }
        let one = |alg| json!({"kty": "RSA", "n": "AQAB", "e": "AQAB", "alg": alg});
        let restricted = published_key(one("PS256")).unwrap();
        assert_eq!(restricted.algorithms, [Algorithm::PS256]);
        let edwards = json!({"kty": "OKP", "crv": "Ed25519", "x": X, "alg": "Ed25519"});
        assert_eq!(
            published_key(edwards).unwrap().algorithms,
            [Algorithm::EdDSA]
        );
        let agreement = json!({"kty": "OKP", "crv": "X25519", "x": X});
        published_key(agreement).map(|_| ()).unwrap_err();
        published_key(json!({"kty": "oct", "k": X}))
            .map(|_| ())
            .unwrap_err();
    }
}
