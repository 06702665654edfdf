//! What a browser keeps of a login: cookies, by their names, with the attributes that they have to have.

use std::collections::BTreeMap;

use crate::serving::{Answer, Serving};
use reqwest::{Method, RequestBuilder, header};
use serde_json::Value;

use super::provider::Provider;

/// The cookie of a session.
pub const SESSION: &str = "__Host-seedbed-session";
/// The cookie of a login that has begun.
pub const LOGIN: &str = "__Host-seedbed-login";

/// A browser.
#[derive(Clone)]
pub struct Browser {
    /// What it shows.
    pub cookies: BTreeMap<String, String>,
    client: reqwest::Client,
}

impl Default for Browser {
    fn default() -> Self {
        // Where it is led is looked at.
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        Self {
            cookies: BTreeMap::new(),
            client: client.build().expect("there is a client"),
        }
    }
}

impl Browser {
    /// A request that is not sent yet. A path may be a whole URL.
    pub fn request(&self, serving: &Serving, method: Method, path: &str) -> RequestBuilder {
        let url = match path.starts_with("http") {
            true => path.to_owned(),
            false => format!("{}{path}", serving.url),
        };
        self.client.request(method, url)
    }

    fn with_cookies(&self, request: RequestBuilder) -> RequestBuilder {
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        match cookies.is_empty() {
            true => request,
            false => request.header(header::COOKIE, cookies.join("; ")),
        }
    }

    /// Sends a request, and keeps the cookies that are set.
    ///
    /// # Panics
    /// When the server does not answer as it should.
    pub async fn send(&mut self, request: RequestBuilder) -> Answer {
        let answer = Answer::read(
            self.with_cookies(request)
                .send()
                .await
                .expect("the server answers"),
        )
        .await;
        for line in answer.headers.get_all(header::SET_COOKIE) {
            let line = line.to_str().expect("the server answers");
            let (pair, attributes) = line.split_once("; ").expect("the server answers");
            let (name, value) = pair.split_once('=').expect("the server answers");
            assert!(name.starts_with("__Host-"), "{line}");
            for needed in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
                assert!(attributes.split("; ").any(|has| has == needed), "{line}");
            }
            assert!(!attributes.contains("Domain"), "{line}");
            match value.is_empty() {
                true => self.cookies.remove(name),
                false => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        answer
    }

    /// `GET`.
    ///
    /// # Panics
    /// When the server does not answer as it should.
    pub async fn get(&mut self, serving: &Serving, path: &str) -> Answer {
        self.send(self.request(serving, Method::GET, path)).await
    }

    /// Begins a login, and returns what the provider is asked.
    ///
    /// # Panics
    /// When the server does not answer as it should.
    pub async fn begin(&mut self, serving: &Serving, to: &str) -> reqwest::Url {
        let mut url =
            reqwest::Url::parse(&format!("{}/login", serving.url)).expect("the server answers");
        url.query_pairs_mut().append_pair("to", to);
        let answer = self.get(serving, url.as_str()).await;
        assert_eq!(answer.status, 303, "{answer:?}");
        reqwest::Url::parse(answer.header("location")).expect("the server answers")
    }

    /// Comes back with these parameters.
    ///
    /// # Panics
    /// When the server does not answer as it should.
    pub async fn come_back(&mut self, serving: &Serving, parameters: &[(&str, &str)]) -> Answer {
        let mut url = reqwest::Url::parse(&format!("{}/login/callback", serving.url))
            .expect("the server answers");
        url.query_pairs_mut().extend_pairs(parameters);
        self.get(serving, url.as_str()).await
    }

    /// A whole login that ends at `to`.
    ///
    /// # Panics
    /// When the server does not answer as it should.
    pub async fn sign_in(&mut self, serving: &Serving, provider: &Provider, to: &str) -> Answer {
        let asked = self.begin(serving, to).await;
        let code = provider.code_for(&asked);
        let state = state_of(&asked);
        self.come_back(serving, &[("code", &code), ("state", &state)])
            .await
    }

    /// `POST` as a page of the server does, with `csrf`.
    ///
    /// # Panics
    /// When the server does not answer as it should.
    pub async fn post(
        &mut self,
        serving: &Serving,
        path: &str,
        csrf: Option<&str>,
        body: Value,
    ) -> Answer {
        let mut request = self.request(serving, Method::POST, path).json(&body);
        if let Some(csrf) = csrf {
            request = request.header("x-seedbed-csrf", csrf);
        }
        self.send(request).await
    }

    /// What the server says of who this is.
    ///
    /// # Panics
    /// When the server does not answer as it should.
    pub async fn session(&mut self, serving: &Serving) -> Value {
        self.get(serving, "/api/session").await.json()
    }
}

/// What the browser has to come back with.
///
/// # Panics
/// When there is none.
pub fn state_of(asked: &reqwest::Url) -> String {
    let mut pairs = asked.query_pairs();
    let state = pairs
        .find(|(name, _)| name == "state")
        .expect("the server answers");
    state.1.into_owned()
}
