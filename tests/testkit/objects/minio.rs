//! S3: MinIO, a program of its own.

use std::process::Command;

use axum::{
    Router,
    extract::Request,
    http::{Method, StatusCode},
    response::Response,
};
use chrono::Utc;
use hmac::{Hmac, Mac};
use seedbed_protocol::digest::{hex, sha256_hex};
use sha2::Sha256;

use super::{
    proxy::{self, Upstream},
    server::{Address, BUCKET, ObjectServer, variables},
};
use crate::{
    machine::tools,
    servers::process::{Server, free_port},
};

const USER: &str = "minio-user";
const SECRET: &str = "minio-secret";
const REGION: &str = "eu-central-1";

/// Lets anyone read objects of the bucket.
const READABLE: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["*"]},"Action":["s3:GetObject"],"Resource":["arn:aws:s3:::snapshots/*"]}]}"#;

impl ObjectServer {
    /// Starts the MinIO that `tests/run.sh` has installed; `None` where it could not, for want of Go.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn minio() -> Option<Self> {
        let program = tools("minio/minio");
        if !program.exists() {
            return None;
        }
        let start = move || {
            let directory = tempfile::tempdir().expect("a temporary directory can be made");
            let port = free_port();
            let mut minio = Command::new(program);
            minio
                .env_clear()
                .envs([("MINIO_ROOT_USER", USER), ("MINIO_ROOT_PASSWORD", SECRET)])
                .envs([("MINIO_REGION", REGION), ("MINIO_BROWSER", "off")])
                .env("HOME", directory.path())
                .args(["server", "--quiet", "--address"])
                .arg(format!("127.0.0.1:{port}"))
                .arg(directory.path().join("data"));
            Server::start(minio, directory, port)
        };
        let started = tokio::task::spawn_blocking(start).await;
        let server = started.expect("starting it does not panic");
        let upstream = Upstream::new(server.port);
        prepare(&upstream).await;
        let forward = move |request: Request| async move {
            let (parts, body) = proxy::read(request).await?;
            Ok::<Response, StatusCode>(upstream.forward(parts, body).await)
        };
        let router = Router::new().fallback(forward);
        let address = |endpoint: String| Address {
            scheme: "s3",
            variables: variables([
                ("AWS_ACCESS_KEY_ID", USER),
                ("AWS_SECRET_ACCESS_KEY", SECRET),
                ("AWS_REGION", REGION),
                ("AWS_ENDPOINT_URL", &endpoint),
            ]),
            endpoint,
        };
        Some(Self::behind(router, server, address).await)
    }
}

/// Makes the bucket, which anyone may read. MinIO listens before it answers.
async fn prepare(upstream: &Upstream) {
    let made = crate::wait::for_some("MinIO makes a bucket", async || {
        let status = put(upstream, "", "").await;
        (status != StatusCode::SERVICE_UNAVAILABLE).then_some(status)
    });
    assert_eq!(made.await, StatusCode::OK);
    let policy = put(upstream, "policy=", READABLE).await;
    assert_eq!(policy, StatusCode::NO_CONTENT);
}

/// Puts `body` to the bucket, signed as in
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>.
async fn put(upstream: &Upstream, query: &str, body: &'static str) -> StatusCode {
    let now = Utc::now();
    let (date, time) = (now.format("%Y%m%d"), now.format("%Y%m%dT%H%M%SZ"));
    let (_, host) = upstream.url.split_once("//").expect("it has a scheme");
    let content = sha256_hex(body);
    let headers = "host;x-amz-content-sha256;x-amz-date";
    let request = format!(
        "PUT\n/{BUCKET}\n{query}\nhost:{host}\nx-amz-content-sha256:{content}\nx-amz-date:{time}\n\n{headers}\n{content}"
    );
    let scope = format!("{date}/{REGION}/s3/aws4_request");
    let request = sha256_hex(request);
    let signed = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{request}");
    let key = scope
        .split('/')
        .fold(format!("AWS4{SECRET}").into_bytes(), |key, part| {
            mac(&key, part)
        });
    let signature = hex(&mac(&key, &signed));
    let answer = upstream
        .client
        .request(
            Method::PUT,
            format!("{}/{BUCKET}?{query}", upstream.url),
        )
        .header("x-amz-content-sha256", content)
        .header("x-amz-date", time.to_string())
        .header(
            "authorization",
            format!(
                "AWS4-HMAC-SHA256 Credential={USER}/{scope},SignedHeaders={headers},Signature={signature}"
            ),
        )
        .body(body)
        .send();
    answer.await.expect("MinIO answers").status()
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length is a key");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}
