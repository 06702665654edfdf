//! S3: s3s-fs in this process.

use std::{path::PathBuf, sync::Arc};

use axum::{
    Router,
    error_handling::HandleError,
    extract::{Request, State},
    http::{
        Method, StatusCode,
        header::{IF_MATCH, IF_NONE_MATCH},
    },
    middleware::{Next, from_fn_with_state},
    response::Response,
};
use s3s::{
    S3Result,
    access::{S3Access, S3AccessContext},
    auth::{S3Auth, SecretKey},
    s3_error,
    service::S3ServiceBuilder,
};
use s3s_fs::FileSystem;
use tokio::sync::Mutex;

use super::server::{Address, BUCKET, ObjectServer, variables};

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
        service.set_access(Rules {
            buckets: directory.path().to_owned(),
        });
        let failed =
            async |error: s3s::HttpError| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:?}"));
        let router = Router::new()
            .fallback_service(HandleError::new(service.build(), failed))
            .layer(from_fn_with_state(Arc::default(), one_conditional_write));
        let data = directory.path().to_owned();
        let address = |endpoint: String| Address {
            scheme: "s3",
            variables: variables([
                ("AWS_ACCESS_KEY_ID", WRITER),
                ("AWS_SECRET_ACCESS_KEY", SECRET),
                ("AWS_REGION", "eu-central-1"),
                ("AWS_ENDPOINT_URL", &endpoint),
            ]),
            endpoint,
        };
        let mut server = Self::behind(router, directory, address).await;
        server.reader = Some(server.variables_with("AWS_ACCESS_KEY_ID", READER));
        server.data = Some(data);
        server
    }
}

/// s3s-fs looks at the condition and then writes, where S3 does both at once.
async fn one_conditional_write(
    State(lock): State<Arc<Mutex<()>>>,
    request: Request,
    next: Next,
) -> Response {
    let conditions = [IF_MATCH, IF_NONE_MATCH];
    let is_conditional = request.method() == Method::PUT
        && conditions.iter().any(|c| request.headers().contains_key(c));
    let _alone = match is_conditional {
        true => Some(lock.lock().await),
        false => None,
    };
    next.run(request).await
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

/// Who may do what, and where.
struct Rules {
    buckets: PathBuf,
}

#[async_trait::async_trait]
impl S3Access for Rules {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        if let Some(bucket) = context.s3_path().get_bucket_name()
            && !self.buckets.join(bucket).exists()
        {
            // s3s-fs makes the bucket of an object that is written.
            return Err(s3_error!(NoSuchBucket));
        }
        let reads = matches!(context.s3_op().name(), "GetObject" | "HeadObject");
        match context.credentials() {
            Some(known) if known.access_key == WRITER => Ok(()),
            _ if reads => Ok(()),
            _ => Err(s3_error!(AccessDenied)),
        }
    }
}
