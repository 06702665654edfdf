//! Checks an ID token (OpenID Connect Core, 3.1.3.7).

use jsonwebtoken::{Algorithm, Validation};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{error::LoginError, provider::Endpoints, state::Login};
use crate::http::auth::keys::{LEEWAY, TokenHeader, verified};

/// The longest `sub` (OpenID Connect Core, 2).
const MOST_SUBJECT: usize = 255;

/// What an ID token says, in addition to what every token does.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    aud: Audience,
    azp: Option<String>,
    nonce: Option<String>,
    iat: Option<f64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(#[allow(dead_code)] String),
    Several(Vec<String>),
}

/// A token that is accepted.
pub(super) struct IdToken {
    pub(super) subject: String,
    pub(super) claims: Box<RawValue>,
}

/// Returns what the token says, if this provider has made it for this server and this login.
pub(super) async fn checked(
    login: &Login,
    endpoints: &Endpoints,
    token: &str,
    nonce: &str,
) -> Result<IdToken, LoginError> {
    let refused = |reason: &str| LoginError::Token(reason.to_owned());
    let header = TokenHeader::of(token).map_err(refused)?;
    let keys = endpoints.jwks.keys(header.kid.as_deref()).await;
    let keys = keys.map_err(|_| LoginError::Provider("its keys cannot be fetched".to_owned()))?;
    // Published keys are public, and each is used with its own algorithms only: neither `none` nor a public key that is taken
    // for a shared secret passes.
    let claims = verified(token, &header, &keys, &validation(login)).map_err(|reason| {
        LoginError::Token(reason.unwrap_or_else(|| {
            "it is signed with a key that the provider does not publish".to_owned()
        }))
    })?;
    let said: Claims =
        serde_json::from_str(claims.get()).map_err(|_| refused("it lacks sub or aud"))?;
    check_party(login, &said)?;
    if said.nonce.as_deref() != Some(nonce) {
        return Err(refused("its nonce is of another login"));
    }
    let now = login.now();
    // Whole seconds up to 2^53 are exact.
    if said.iat.is_none_or(|iat| iat > (now + LEEWAY) as f64) {
        return Err(refused("its time (iat) is missing, or in the future"));
    }
    if said.sub.trim().is_empty() || said.sub.len() > MOST_SUBJECT {
        return Err(refused("its sub is empty or too long"));
    }
    Ok(IdToken {
        subject: said.sub,
        claims,
    })
}

/// Checks that what userinfo says is of the token's person (OpenID Connect Core, 5.3.2).
pub(super) fn check_same_person(token: &IdToken, userinfo: &RawValue) -> Result<(), LoginError> {
    #[derive(Deserialize)]
    struct Of {
        sub: String,
    }
    match serde_json::from_str::<Of>(userinfo.get()) {
        Ok(of) if of.sub == token.subject => Ok(()),
        _ => Err(LoginError::Token(
            "its userinfo is of another person".to_owned(),
        )),
    }
}

/// Checks that it is for this server, and was given to it.
fn check_party(login: &Login, said: &Claims) -> Result<(), LoginError> {
    let azp = said.azp.as_deref();
    let is_of_other = azp.is_some_and(|party| party != login.client_id);
    let is_of_several = match &said.aud {
        Audience::One(_) => false,
        Audience::Several(all) => all.iter().any(|one| *one != login.client_id),
    };
    match is_of_other || (is_of_several && azp.is_none()) {
        true => Err(LoginError::Token(
            "it was given to another party (azp)".to_owned(),
        )),
        false => Ok(()),
    }
}

fn validation(login: &Login) -> Validation {
    // `verified` says which algorithm, by the key.
    let mut validation = Validation::new(Algorithm::RS256);
    validation.leeway = LEEWAY;
    validation.validate_nbf = true;
    validation.set_audience(&[&login.client_id]);
    validation.set_issuer(&[&login.issuer]);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    validation
}
