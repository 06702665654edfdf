//! A `seedbed serve` or `seedbed local --serve` that answers requests, and a client that makes them.

pub mod login;

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, Header};
use reqwest::{Method, Response, StatusCode};
use seedbed_stand_in::PowerSync;
use serde_json::{Value, json};

use crate::{
    program::{Process, Program},
    wait,
};

/// What `seedbed` is told to serve while it seeds the stores of [`prepared`].
pub const LOCAL_SERVE: [&str; 4] = ["local", "--stores", "stores.ndjson", "--serve"];

/// What `seedbed` is told to serve on a cluster.
pub const SERVE: [&str; 3] = ["serve", "--stores", "stores.ndjson"];

/// `serve.admin_token` of [`Serving::prepare`].
pub const ADMIN_TOKEN: &str = "an admin token for tests";

/// What `download.secret` is in base64url.
const SECRET: &[u8] = b"a secret of clients' tokens, 32+";

/// A program that serves. Killed when it is dropped.
pub struct Serving {
    /// The program.
    pub process: Process,
    /// Where it is, without a `/` at the end.
    pub url: String,
    /// Where it answers probes and says its metrics without a token, if it does.
    pub health_url: Option<String>,
    client: reqwest::Client,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: reqwest::header::HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads an answer.
    ///
    /// # Panics
    /// When it breaks off.
    pub async fn read(response: Response) -> Self {
        Self {
            status: response.status(),
            headers: response.headers().clone(),
            body: response.bytes().await.expect("the body ends").to_vec(),
        }
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> Value {
        let parsed = serde_json::from_slice(&self.body);
        parsed.unwrap_or_else(|e| panic!("no JSON ({e}): {self:?}"))
    }

    /// The status, and the code of a refusal.
    ///
    /// # Panics
    /// When it is no refusal as this server has them.
    pub fn refusal(&self) -> (u16, String) {
        let body = self.json();
        let message = body["message"].as_str().unwrap_or_default();
        assert!(!message.is_empty(), "a refusal without a reason: {body}");
        let code = body["error"].as_str().expect("a refusal has a code");
        (self.status.as_u16(), code.to_owned())
    }

    /// What a refusal says to people; empty if it is none.
    pub fn message(&self) -> String {
        self.json()["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// A header; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().expect("headers are ASCII"))
    }
}

impl Serving {
    /// Settings with which administrators and clients are known.
    pub fn prepare(program: &mut Program) {
        program.set("SERVE__ADMIN_TOKEN", ADMIN_TOKEN);
        program.set("DOWNLOAD__SECRET", URL_SAFE_NO_PAD.encode(SECRET));
    }

    /// Starts `seedbed` with these arguments, and waits until it listens.
    ///
    /// # Panics
    /// When it does not.
    pub async fn start(program: &Program, arguments: &[&str]) -> Self {
        let mut process = program.start(&[arguments, &["--json"]].concat());
        let listening = |process: &Process| {
            let output = process.output();
            let mut lines = output.lines().filter_map(|l| serde_json::from_str(l).ok());
            lines.find(|line: &Value| line["type"] == "listening")
        };
        let url = |line: &Value| Some(line.as_str()?.trim_end_matches('/').to_owned());
        process
            .until("it listens", |process| listening(process).is_some())
            .await;
        let line = listening(&process).expect("it listens");
        // Whom clients trust is tested by clients that look.
        let client = reqwest::Client::builder().tls_danger_accept_invalid_certs(true);
        let client = client.build();
        Self {
            url: url(&line["url"]).expect("it says where"),
            health_url: url(&line["health_url"]),
            process,
            client: client.expect("the platform has TLS"),
        }
    }

    /// `GET path` with a bearer token, if any.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn get(&self, path: &str, token: Option<&str>) -> Answer {
        self.send(Method::GET, path, token, None).await
    }

    /// `GET path` as an administrator.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn admin(&self, path: &str) -> Answer {
        self.get(path, Some(ADMIN_TOKEN)).await
    }

    /// What is measured now, as an administrator reads it.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn metrics(&self) -> BTreeMap<String, f64> {
        let answer = self.admin("/metrics").await;
        samples(&String::from_utf8(answer.body).expect("the format is text"))
    }

    /// `POST path` as an administrator.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn post(&self, path: &str, body: Option<Value>) -> Answer {
        self.send(Method::POST, path, Some(ADMIN_TOKEN), body).await
    }

    /// Any request. A path may be a whole URL.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<Value>,
    ) -> Answer {
        let mut request = self.request(method, path);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        Answer::read(request.send().await.expect("the server answers")).await
    }

    /// A request with headers of its own.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = self.request(Method::GET, path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::read(request.send().await.expect("the server answers")).await
    }

    /// A request that is not sent yet.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = match path.starts_with("http") {
            true => path.to_owned(),
            false => format!("{}{path}", self.url),
        };
        self.client.request(method, url)
    }

    /// `GET /database` for `store`, with a token for it.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn database(&self, store: &str) -> Answer {
        let token = client_token(json!({ "store_id": store }));
        self.get(&database_path(store), Some(&token)).await
    }

    /// `POST /reports` for `store`, with a token for it.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn report(&self, store: &str, report: Value) -> Answer {
        let token = client_token(json!({ "store_id": store }));
        let path = report_path(store);
        self.send(Method::POST, &path, Some(&token), Some(report))
            .await
    }

    /// Asks for `store` until `accepted` likes the answer.
    pub async fn database_until(&self, store: &str, accepted: impl Fn(&Answer) -> bool) -> Answer {
        wait::for_some("the answer is accepted", async || {
            let answer = self.database(store).await;
            accepted(&answer).then_some(answer)
        })
        .await
    }
}

/// A service with these stores, of so many rows each, and a program that knows administrators and clients, with the list
/// of the stores in `stores.ndjson`.
///
/// # Panics
/// When the service does not start.
pub async fn prepared(stores: &[impl AsRef<str>], rows: u32) -> (PowerSync, Program) {
    let service = PowerSync::builder().start().await;
    let service = service.expect("a port is free");
    let mut program = Program::new(&service);
    Serving::prepare(&mut program);
    let mut list = String::new();
    for (seed, store) in stores.iter().map(AsRef::as_ref).enumerate() {
        service.add_generated_store(store, rows, seed as u64 + 1);
        list += &format!("{}\n", json!({ "store_id": store }));
    }
    program.write("stores.ndjson", list);
    (service, program)
}

/// The path that asks for `store`.
pub fn database_path(store: &str) -> String {
    path_of("/database", store)
}

/// The path that takes a report of a first launch of `store`.
pub fn report_path(store: &str) -> String {
    path_of("/reports", store)
}

fn path_of(path: &str, store: &str) -> String {
    let mut url = reqwest::Url::parse("http://localhost/").expect("it is a URL");
    url.query_pairs_mut().append_pair("store_id", store);
    format!("{path}?{}", url.query().expect("it has a query"))
}

/// A report of a first launch that installed a compact file, as the client packages send it. `number` makes its launch.
pub fn launch_report(number: u32) -> Value {
    json!({
        "v": 1,
        "launch": format!("00000000-0000-4000-8000-{number:012x}"),
        "platform": "react-native",
        "outcome": "installed",
        "reason": null,
        "form": "compact",
        "encoding": "gzip",
        "bytes": 13_400_000,
        "resumes": 0,
        "seconds": {"waiting": 0.5, "downloading": 9, "unpacking": 0.5, "finishing": 2.25},
        "sdk": "1.14.0",
        "package": "0.2.0-beta.1",
        "core": "0.5.3/8f2a4bc1",
    })
}

/// A client's token with these claims, valid for five minutes unless they say otherwise.
pub fn client_token(claims: Value) -> String {
    token(
        claims,
        &Header::default(),
        &EncodingKey::from_secret(SECRET),
    )
}

/// A token with another header and another key.
///
/// # Panics
/// When they do not fit.
pub fn token(mut claims: Value, header: &Header, key: &EncodingKey) -> String {
    if claims.get("exp").is_none() {
        claims["exp"] = json!(now() + 300);
    }
    jsonwebtoken::encode(header, &claims, key).expect("the key fits the header")
}

/// The samples of Prometheus' text format, by their names with labels.
///
/// # Panics
/// When it is something else.
pub fn samples(text: &str) -> BTreeMap<String, f64> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a sample has a value");
            (name.to_owned(), value.parse().expect("it is a number"))
        })
        .collect()
}

/// Unix seconds.
///
/// # Panics
/// Before 1970.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("it is later than 1970").as_secs()
}
