//! Asks the provider: for tokens with a code (RFC 6749, 4.1.3), and for what it knows of a person (userinfo).

use reqwest::{RequestBuilder, StatusCode, header};
use seedbed_protocol::settings::Secret;
use serde::Deserialize;
use serde_json::value::RawValue;
use url::form_urlencoded;

use super::{
    error::LoginError,
    provider::{Endpoints, MOST_BYTES},
    state::Login,
};
use crate::http::auth::keys::read;

/// What a code is good for.
#[derive(Deserialize)]
pub(super) struct Tokens {
    pub(super) id_token: String,
    access_token: Option<Secret>,
}

/// Why there are none.
#[derive(Deserialize)]
struct Refused {
    error: String,
}

/// Returns the tokens for a code.
pub(super) async fn tokens(
    login: &Login,
    endpoints: &Endpoints,
    code: &str,
    verifier: &str,
) -> Result<Tokens, LoginError> {
    let request = code_request(login, endpoints, code, verifier);
    let (status, body) = answered(request, "its token endpoint").await?;
    if status.is_client_error() {
        let refused: Option<Refused> = serde_json::from_slice(&body).ok();
        let word = refused.map_or_else(|| status.to_string(), |refused| word(&refused.error));
        return Err(LoginError::Code(word));
    }
    if !status.is_success() {
        let message = format!("its token endpoint answers {status}");
        return Err(LoginError::Provider(message));
    }
    serde_json::from_slice(&body)
        .map_err(|_| LoginError::Provider("its token endpoint gives no ID token".to_owned()))
}

/// The request for the tokens of a code.
fn code_request(
    login: &Login,
    endpoints: &Endpoints,
    code: &str,
    verifier: &str,
) -> RequestBuilder {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "authorization_code")
        .append_pair("code", code)
        .append_pair("redirect_uri", login.redirect_url.as_str())
        .append_pair("code_verifier", verifier);
    let mut request = login.provider.client.post(endpoints.token.clone());
    match &login.client_secret {
        Some(secret) if !endpoints.secret_in_body => {
            // Both are encoded first (RFC 6749, 2.3.1).
            let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect();
            let name: String = encoded(&login.client_id);
            let secret: String = encoded(secret.expose());
            request = request.basic_auth(name, Some(secret));
        }
        secret => {
            form.append_pair("client_id", &login.client_id);
            if let Some(secret) = secret {
                form.append_pair("client_secret", secret.expose());
            }
        }
    }
    request
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ACCEPT, "application/json")
        .body(form.finish())
}

/// Returns what the provider knows of the person beyond the ID token; `None` if it is not asked for that.
pub(super) async fn userinfo(
    login: &Login,
    endpoints: &Endpoints,
    tokens: &Tokens,
) -> Result<Option<Box<RawValue>>, LoginError> {
    let (Some(url), Some(token)) = (&endpoints.userinfo, &tokens.access_token) else {
        return Ok(None);
    };
    let request = login.provider.client.get(url.clone());
    let request = request.bearer_auth(token.expose());
    let (status, body) = answered(request, "its userinfo").await?;
    if !status.is_success() {
        let message = format!("its userinfo answers {status}");
        return Err(LoginError::Provider(message));
    }
    let claims = serde_json::from_slice(&body);
    claims.map_err(|_| LoginError::Provider("its userinfo is no JSON".to_owned()))
}

async fn answered(
    request: RequestBuilder,
    what: &str,
) -> Result<(StatusCode, Vec<u8>), LoginError> {
    let asked = async {
        let answer = request.send().await?;
        let status = answer.status();
        Ok((status, read(answer, MOST_BYTES).await?))
    };
    asked.await.map_err(|error| LoginError::broken(what, error))
}

/// Returns an error's word as the protocols have them, and not what else somebody may have put there.
pub(super) fn word(text: &str) -> String {
    let is_word = text.len() <= 64 && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    match is_word && !text.is_empty() {
        true => text.to_owned(),
        false => "something unknown".to_owned(),
    }
}
