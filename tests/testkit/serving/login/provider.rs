//! A provider of logins that says whatever a test wants.

use std::sync::{Arc, Mutex, MutexGuard};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

use crate::{program::Program, serving::now};

/// The client's id.
pub const CLIENT: &str = "seedbed";
/// The client's secret, with what forms have to encode.
pub const SECRET: &str = "a secret: of/the+client";
const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testkit/keys");

/// Where it leads browsers back to, whatever the server's port is: a test's browser goes there by itself.
pub const REDIRECT: &str = "https://seedbed.example.com/login/callback";

/// What makes the ID token out of its claims.
pub type Signer = fn(&Value) -> String;

/// What the provider says.
pub struct Says {
    /// Claims that replace or, with null, remove those of a good ID token.
    pub claims: Value,
    /// How it signs.
    pub sign: Signer,
    /// What replaces the discovery document's members.
    pub document: Value,
    /// What it answers at userinfo.
    pub userinfo: Value,
    /// What the token endpoint answers instead of tokens.
    pub token_answer: Option<(u16, Value)>,
    /// The nonce and the challenge of each code that is not used yet.
    codes: Vec<(String, String, String)>,
    /// Whether a code can be used again.
    pub forgives_reuse: bool,
    /// How often its discovery document and its keys were asked for.
    pub fetched: (usize, usize),
    /// Headers of its discovery document; with a Location, that is a redirect.
    pub headers: Vec<(header::HeaderName, String)>,
}

/// A provider at a port of its own.
#[derive(Clone)]
pub struct Provider {
    /// Where it is, and what it calls itself.
    pub url: String,
    says: Arc<Mutex<Says>>,
}

impl Provider {
    /// Starts one that says what it should.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a test's provider works");
        let url = format!(
            "http://{}",
            listener.local_addr().expect("a test's provider works")
        );
        let says = Says {
            claims: json!({}),
            sign: es256,
            document: json!({}),
            userinfo: json!({"sub": "ada-1"}),
            token_answer: None,
            codes: Vec::new(),
            forgives_reuse: false,
            fetched: (0, 0),
            headers: Vec::new(),
        };
        let provider = Self {
            url,
            says: Arc::new(Mutex::new(says)),
        };
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(document))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        provider
    }

    /// Has people sign in by it at `program`: `root` are administrators, `ops` and `duty` operators, `staff` viewers.
    pub fn sign_in_at(&self, program: &mut Program) {
        program.set("LOGIN__ISSUER", &self.url);
        program.set("LOGIN__CLIENT_ID", CLIENT);
        program.set("LOGIN__CLIENT_SECRET", SECRET);
        program.set("LOGIN__REDIRECT_URL", REDIRECT);
        program.set("LOGIN__ADMINS", "root");
        program.set("LOGIN__OPERATORS", "ops, duty");
        program.set("LOGIN__VIEWERS", "staff");
    }

    /// What it says from now on.
    ///
    /// # Panics
    /// When a test has failed meanwhile.
    pub fn says(&self) -> MutexGuard<'_, Says> {
        self.says.lock().expect("a test's provider works")
    }

    /// What somebody who signs in brings back: a code for the login of this authorization request.
    ///
    /// # Panics
    /// When the request is not as it should be.
    pub fn code_for(&self, request: &reqwest::Url) -> String {
        let asked = |name: &str| {
            let mut pairs = request.query_pairs();
            let found = pairs.find(|(of, _)| of == name);
            found
                .map(|(_, value)| value.into_owned())
                .unwrap_or_else(|| panic!("no {name}"))
        };
        assert_eq!(asked("response_type"), "code");
        assert_eq!(asked("client_id"), CLIENT);
        assert_eq!(asked("code_challenge_method"), "S256");
        assert!(asked("scope").split(' ').any(|scope| scope == "openid"));
        let mut says = self.says();
        let code = format!("code-{}", says.codes.len());
        says.codes
            .push((code.clone(), asked("nonce"), asked("code_challenge")));
        code
    }
}

async fn document(State(provider): State<Provider>) -> Response {
    let url = &provider.url;
    let mut document = json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize?tenant=1"),
        "token_endpoint": format!("{url}/token"),
        "userinfo_endpoint": format!("{url}/userinfo"),
        "jwks_uri": format!("{url}/keys"),
    });
    let mut says = provider.says();
    says.fetched.0 += 1;
    replace(&mut document, &says.document);
    let mut headers = HeaderMap::new();
    for (name, value) in &says.headers {
        headers.insert(name, value.parse().expect("a test's provider works"));
    }
    let moved = headers.contains_key(header::LOCATION);
    let status = if moved {
        StatusCode::FOUND
    } else {
        StatusCode::OK
    };
    (status, headers, Json(document)).into_response()
}

async fn keys(State(provider): State<Provider>) -> Json<Value> {
    provider.says().fetched.1 += 1;
    let keys = ["es256", "rs256"].map(|name| {
        let mut jwk = Jwk::from_encoding_key(&private(name), algorithm(name))
            .expect("a test's provider works");
        jwk.common.key_id = Some(name.to_owned());
        serde_json::to_value(jwk).expect("a test's provider works")
    });
    Json(json!({ "keys": keys }))
}

async fn userinfo(State(provider): State<Provider>, headers: HeaderMap) -> Response {
    if headers[header::AUTHORIZATION] != "Bearer an access token" {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    Json(provider.says().userinfo.clone()).into_response()
}

async fn token(State(provider): State<Provider>, headers: HeaderMap, body: String) -> Response {
    let url =
        reqwest::Url::parse(&format!("http://localhost/?{body}")).expect("a test's provider works");
    let asked = |name: &str| {
        let found = url.query_pairs().find(|(of, _)| of == name);
        found
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    };
    let mut says = provider.says();
    if let Some((status, body)) = &says.token_answer {
        return (
            StatusCode::from_u16(*status).expect("a test's provider works"),
            Json(body.clone()),
        )
            .into_response();
    }
    let refused =
        |word: &str| (StatusCode::BAD_REQUEST, Json(json!({ "error": word }))).into_response();
    if !knows(&headers, &asked("client_id"), &asked("client_secret")) {
        return refused("invalid_client");
    }
    let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(asked("code_verifier")));
    let place = says
        .codes
        .iter()
        .position(|(code, _, challenge)| *code == asked("code") && *challenge == hash);
    let Some(place) = place else {
        return refused("invalid_grant");
    };
    let nonce = says.codes[place].1.clone();
    if !says.forgives_reuse {
        says.codes[place].0.clear();
    }
    let now = now();
    let mut claims = json!({
        "iss": provider.url, "aud": CLIENT, "sub": "ada-1", "nonce": nonce, "iat": now, "exp": now + 60,
        "email": "ada@example.com", "email_verified": true, "groups": ["staff", "ops"],
    });
    replace(&mut claims, &says.claims);
    Json(json!({"id_token": (says.sign)(&claims), "access_token": "an access token", "token_type": "Bearer"})).into_response()
}

/// Whether the client has shown its secret, in the one way or the other.
fn knows(headers: &HeaderMap, id: &str, secret: &str) -> bool {
    let Some(basic) = headers.get(header::AUTHORIZATION) else {
        return id == CLIENT && secret == SECRET;
    };
    let basic = basic
        .to_str()
        .expect("a test's provider works")
        .strip_prefix("Basic ")
        .expect("a test's provider works");
    let basic = String::from_utf8(STANDARD.decode(basic).expect("a test's provider works"))
        .expect("a test's provider works");
    // As forms have them (RFC 6749, 2.3.1).
    basic == "seedbed:a+secret%3A+of%2Fthe%2Bclient"
}

/// Replaces members, and removes those that are null.
fn replace(object: &mut Value, members: &Value) {
    for (name, value) in members.as_object().expect("a test's provider works") {
        match value {
            Value::Null => drop(
                object
                    .as_object_mut()
                    .expect("a test's provider works")
                    .remove(name),
            ),
            value => object[name] = value.clone(),
        }
    }
}

fn algorithm(name: &str) -> Algorithm {
    match name {
        "rs256" => Algorithm::RS256,
        _ => Algorithm::ES256,
    }
}

fn private(name: &str) -> EncodingKey {
    let pem = std::fs::read(format!("{KEYS}/{name}.private.pem")).expect("a test's provider works");
    let key = match name {
        "rs256" => EncodingKey::from_rsa_pem(&pem),
        "eddsa" => EncodingKey::from_ed_pem(&pem),
        _ => EncodingKey::from_ec_pem(&pem),
    };
    key.expect("a test's provider works")
}

fn signed(claims: &Value, algorithm: Algorithm, kid: &str, key: &EncodingKey) -> String {
    let mut header = Header::new(algorithm);
    header.kid = Some(kid.to_owned());
    jsonwebtoken::encode(&header, claims, key).expect("a test's provider works")
}

/// With its first key.
///
/// # Panics
/// When the key does not fit.
pub fn es256(claims: &Value) -> String {
    signed(claims, Algorithm::ES256, "es256", &private("es256"))
}

/// With its second key.
///
/// # Panics
/// When the key does not fit.
pub fn rs256(claims: &Value) -> String {
    signed(claims, Algorithm::RS256, "rs256", &private("rs256"))
}

/// With a key that the provider does not publish, under the name of one that it does.
///
/// # Panics
/// When the key does not fit.
pub fn of_another(claims: &Value) -> String {
    signed(claims, Algorithm::EdDSA, "es256", &private("eddsa"))
}

/// With the public key as if it were a shared secret.
///
/// # Panics
/// When the key does not fit.
pub fn confused(claims: &Value) -> String {
    let public =
        std::fs::read(format!("{KEYS}/rs256.public.pem")).expect("a test's provider works");
    signed(
        claims,
        Algorithm::HS256,
        "rs256",
        &EncodingKey::from_secret(&public),
    )
}

/// With the client's secret: HS256 as OpenID Connect knows it, which is not accepted here.
///
/// # Panics
/// When the key does not fit.
pub fn by_secret(claims: &Value) -> String {
    signed(
        claims,
        Algorithm::HS256,
        "es256",
        &EncodingKey::from_secret(SECRET.as_bytes()),
    )
}

/// Not signed at all.
pub fn unsigned(claims: &Value) -> String {
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    format!(
        "{}.{}.",
        part(&json!({"alg": "none", "typ": "JWT"})),
        part(claims)
    )
}

/// With claims that were changed after it was signed.
///
/// # Panics
/// When the key does not fit.
pub fn changed(claims: &Value) -> String {
    let token = es256(claims);
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let mut more = claims.clone();
    more["groups"] = json!(["root"]);
    parts[1] = URL_SAFE_NO_PAD.encode(more.to_string());
    parts.join(".")
}
