//! S3: s3s-fs in this process.

use axum::{Router, error_handling::HandleError, http::StatusCode};
use s3s::{
    S3Result,
    access::{S3Access, S3AccessContext},
    auth::{S3Auth, SecretKey},
    s3_error,
    service::S3ServiceBuilder,
};
use s3s_fs::FileSystem;

use super::{BUCKET, Faults, ObjectServer, serve, variables};

const WRITER: &str = "writer";
const READER: &str = "reader";
const SECRET: &str = "the-secret-of-both";

impl ObjectServer {
    /// Starts an S3 server.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn s3() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        std::fs::create_dir(directory.path().join(BUCKET)).expect("a bucket is a directory");
        let files = FileSystem::new(directory.path()).expect("the directory is there");
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(Keys);
        service.set_access(Rules);
        let failed =
            async |error: s3s::HttpError| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:?}"));
        let router = Router::new().fallback_service(HandleError::new(service.build(), failed));
        let faults = Faults::default();
        let (port, accept) = serve(router, &faults).await;
        let endpoint = format!("http://127.0.0.1:{port}");
        let with_key = |key: &str| {
            variables([
                ("AWS_ACCESS_KEY_ID", key),
                ("AWS_SECRET_ACCESS_KEY", SECRET),
                ("AWS_REGION", "eu-central-1"),
                ("AWS_ENDPOINT_URL", &endpoint),
            ])
        };
        Self {
            url: format!("s3://{BUCKET}/some/prefix"),
            variables: with_key(WRITER),
            faults,
            reader: Some(with_key(READER)),
            data: Some(directory.path().to_owned()),
            public: format!("{endpoint}/{BUCKET}/some/prefix"),
            accept,
            _keep: Box::new(directory),
        }
    }
}

struct Keys;

#[async_trait::async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        match access_key {
            WRITER | READER => Ok(SECRET.into()),
            _ => Err(s3_error!(InvalidAccessKeyId)),
        }
    }
}

struct Rules;

#[async_trait::async_trait]
impl S3Access for Rules {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let reads = matches!(context.s3_op().name(), "GetObject" | "HeadObject");
        match context.credentials() {
            Some(known) if known.access_key == WRITER => Ok(()),
            _ if reads => Ok(()),
            _ => Err(s3_error!(AccessDenied)),
        }
    }
}
