//! Azure Blob Storage: Azurite.

use std::{any::Any, process::Command};

use axum::{Router, extract::Request, http::StatusCode, response::Response};
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::Utc;
use hmac::{Hmac, Mac};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;
use sha2::Sha256;

use super::{
    proxy::{self, Upstream},
    server::{Address, BUCKET, ObjectServer, tool, variables},
};
use crate::{
    machine::{node, tools},
    servers::{
        Authority,
        process::{Server, free_port},
    },
};

/// The account and the key that every Azurite has
/// (<https://learn.microsoft.com/azure/storage/common/storage-connect-azurite>).
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// The container of Azurite from which nobody reads without a signature.
pub const PRIVATE: &str = "private";

/// The version of the protocol in which the container is made.
const VERSION: &str = "2023-11-03";

impl ObjectServer {
    /// Starts Azurite.
    ///
    /// # Panics
    /// When it is not installed or does not start.
    pub async fn azurite() -> Self {
        let server = start(Vec::new()).await;
        let upstream = Upstream::new(server.port);
        let key = ("AZURE_STORAGE_ACCOUNT_KEY", KEY);
        Self::azurite_behind(upstream, key, Box::new(server)).await
    }

    /// Starts Azurite for a caller who has no key, but the token of an identity. Azurite takes tokens by TLS only; whoever
    /// asks here needs none.
    ///
    /// # Panics
    /// When it is not installed or does not start.
    pub async fn azurite_for_an_identity() -> Self {
        let certificates = tempfile::tempdir().expect("a temporary directory can be made");
        let (certificate, key) = Authority::new(&certificates, "authority").sign_localhost();
        let flags = ["--oauth", "basic", "--cert", &certificate, "--key", &key];
        let server = start(flags.map(str::to_owned).into()).await;
        let client = reqwest::Client::builder()
            .tls_danger_accept_invalid_certs(true)
            .build();
        let upstream = Upstream {
            client: client.expect("it has no other settings"),
            url: format!("https://localhost:{}", server.port),
        };
        let token = identity_token();
        let token = ("AZURE_STORAGE_TOKEN", token.as_str());
        Self::azurite_behind(upstream, token, Box::new((server, certificates))).await
    }

    async fn azurite_behind(
        upstream: Upstream,
        credential: (&str, &str),
        keep: Box<dyn Any + Send + Sync>,
    ) -> Self {
        create_container(&upstream, BUCKET, true).await;
        create_container(&upstream, PRIVATE, false).await;
        let forward = move |request: Request| async move {
            let (parts, body) = proxy::read(request).await?;
            Ok::<Response, StatusCode>(upstream.forward(parts, body).await)
        };
        let router = Router::new().fallback(forward);
        let address = |url: String| {
            let endpoint = format!("{url}/{ACCOUNT}");
            Address {
                scheme: "az",
                variables: variables([
                    ("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT),
                    credential,
                    ("AZURE_STORAGE_ENDPOINT", &endpoint),
                ]),
                endpoint,
            }
        };
        Self::behind(router, keep, address).await
    }
}

/// Starts Azurite itself with these flags.
async fn start(flags: Vec<String>) -> Server {
    let program = tools("objects/node_modules/azurite/dist/src/blob/main.js");
    let program = tool(Some(program), "Azurite");
    let start = move || {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let port = free_port();
        let mut azurite = Command::new(node());
        azurite
            .arg(program)
            .args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()])
            .arg("--location")
            .arg(directory.path())
            .args(["--silent", "--skipApiVersionCheck", "--disableTelemetry"])
            .args(flags);
        Server::start(azurite, directory, port)
    };
    let started = tokio::task::spawn_blocking(start).await;
    started.expect("starting it does not panic")
}

/// A token as an identity of Azure has. Azurite reads it, and does not check its signature.
fn identity_token() -> String {
    let now = Utc::now().timestamp();
    let claims = json!({
        "aud": "https://storage.azure.com",
        "iss": "https://sts.windows.net/tenant/",
        "nbf": now - 60,
        "iat": now - 60,
        "exp": now + 3600,
        "oid": "an-object",
        "tid": "a-tenant",
    });
    let key = EncodingKey::from_secret(b"nobody checks this");
    jsonwebtoken::encode(&Header::default(), &claims, &key).expect("HS256 takes any key")
}

/// A signature with which its holder may do everything with the account's blobs for an hour, and can sign nothing:
/// <https://learn.microsoft.com/rest/api/storageservices/create-account-sas>.
///
/// # Panics
/// Never.
pub fn azurite_sas() -> String {
    let expires = (Utc::now() + chrono::TimeDelta::hours(1)).format("%Y-%m-%dT%H:%M:%SZ");
    let (permissions, services, types) = ("rwdlacup", "b", "sco");
    let expires = expires.to_string();
    let signature = signed(&format!(
        "{ACCOUNT}\n{permissions}\n{services}\n{types}\n\n{expires}\n\n\n{VERSION}\n\n"
    ));
    let mut query = reqwest::Url::parse("http://localhost").expect("it is a URL");
    query
        .query_pairs_mut()
        .append_pair("sv", VERSION)
        .append_pair("ss", services)
        .append_pair("srt", types)
        .append_pair("sp", permissions)
        .append_pair("se", &expires)
        .append_pair("sig", &signature);
    query.query().expect("it has a query").to_owned()
}

fn signed(text: &str) -> String {
    let key = BASE64_STANDARD.decode(KEY).expect("the key is base64");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any length is a key");
    mac.update(text.as_bytes());
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

/// Makes a container; in a public one, anybody may read blobs. The signature is that of
/// <https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key>.
async fn create_container(upstream: &Upstream, name: &str, public: bool) {
    let date = Utc::now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let path = format!("/{ACCOUNT}/{name}");
    let access = if public {
        "x-ms-blob-public-access:blob\n"
    } else {
        ""
    };
    let signed = format!(
        "PUT\n\n\n\n\n\n\n\n\n\n\n\n{access}x-ms-date:{date}\nx-ms-version:{VERSION}\n\
         /{ACCOUNT}{path}\nrestype:container"
    );
    let signature = self::signed(&signed);
    let mut request = upstream
        .client
        .put(format!("{}{path}?restype=container", upstream.url));
    if public {
        request = request.header("x-ms-blob-public-access", "blob");
    }
    let created = request
        .header("x-ms-date", date)
        .header("x-ms-version", VERSION)
        .header("authorization", format!("SharedKey {ACCOUNT}:{signature}"))
        .body("")
        .send()
        .await;
    let created = created.expect("Azurite answers");
    let status = created.status();
    let said = created.text().await.unwrap_or_default();
    assert_eq!(status, StatusCode::CREATED, "{said}");
}
