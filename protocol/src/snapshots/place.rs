//! From the URL and the environment to an object store.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use http::Method;
use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, RetryConfig, StaticCredentialProvider,
    aws::AmazonS3Builder,
    azure::MicrosoftAzureBuilder,
    gcp::{GcpCredential, GoogleCloudStorageBuilder, GoogleConfigKey},
    local::LocalFileSystem,
    path::Path as Key,
    prefix::PrefixStore,
    signer::Signer,
};
use url::Url;

use super::error::SnapshotStoreError;
use crate::error::chain;

/// How long connecting may take. A store that does not answer at all is found within [`RETRY_TIMEOUT`].
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one request may take: one part of an upload at 140 kB/s. A longer download goes on with another
/// request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// After this, a request that failed is not tried again.
const RETRY_TIMEOUT: Duration = Duration::from_secs(60);

/// Tries of one request beside the first.
const MAX_RETRIES: usize = 6;

/// The longest pause between them.
const MAX_BACKOFF: Duration = Duration::from_secs(10);

/// What the environment says about where a store is.
pub(super) const ENDPOINTS: [&str; 7] = [
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT",
    "AZURE_STORAGE_ENDPOINT",
    "AZURE_ENDPOINT",
    "GOOGLE_BASE_URL",
    "STORAGE_EMULATOR_HOST",
];

/// One of them for each kind of store.
pub(super) const CHOSEN_ENDPOINTS: [&str; 3] = [
    "AWS_ENDPOINT_URL",
    "AZURE_STORAGE_ENDPOINT",
    "GOOGLE_BASE_URL",
];

/// The kinds of stores beside directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    S3,
    Azure,
    Google,
}

impl Service {
    fn of_scheme(scheme: &str) -> Option<Self> {
        match scheme {
            "s3" => Some(Self::S3),
            "az" => Some(Self::Azure),
            "gs" => Some(Self::Google),
            _ => None,
        }
    }

    /// What to set for it when its credentials do not work.
    fn variables(self) -> &'static str {
        match self {
            Self::S3 => {
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_REGION, AWS_ENDPOINT_URL), or give the machine a role"
            }
            Self::Azure => {
                "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or give the machine an identity"
            }
            Self::Google => {
                "GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT, or give the machine a service account"
            }
        }
    }
}

/// Where a snapshot store is.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The URL, without a `/` at its end.
    pub(super) url: String,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Directory(PathBuf),
    Service(Service),
}

impl Place {
    /// The directory that it is, if it is one.
    pub(super) fn directory(&self) -> Option<&Path> {
        match &self.kind {
            Kind::Directory(directory) => Some(directory),
            Kind::Service(_) => None,
        }
    }

    /// What to set when the credentials do not work.
    pub(super) fn variables(&self) -> &'static str {
        match &self.kind {
            Kind::Directory(_) => "the owner and the mode of the directory",
            Kind::Service(service) => service.variables(),
        }
    }
}

/// Signs URLs of one bucket.
#[derive(Debug, Clone)]
pub(super) struct BucketSigner {
    signer: Arc<dyn Signer>,
    prefix: Key,
}

impl BucketSigner {
    /// A URL by which everybody can read the object `key` for `lifetime`.
    pub(super) async fn sign(&self, key: &str, lifetime: Duration) -> object_store::Result<Url> {
        let key = self.prefix.parts().chain(Key::from(key).parts()).collect();
        self.signer.signed_url(Method::GET, &key, lifetime).await
    }
}

/// A store that was opened.
pub(super) struct Opened {
    pub(super) place: Place,
    pub(super) objects: Arc<dyn ObjectStore>,
    /// None for a directory.
    pub(super) signer: Option<BucketSigner>,
}

/// Opens what `url` names; `variables` are those of the environment.
pub(super) fn open(
    url: &str,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Opened, SnapshotStoreError> {
    if let Some(path) = url.strip_prefix("file:") {
        return open_directory(url, path.strip_prefix("//").unwrap_or(path));
    }
    let bad = |reason: &str| SnapshotStoreError::Url {
        url: without_secrets(url),
        reason: reason.to_owned(),
    };
    let parsed = Url::parse(url).ok();
    let service = parsed
        .as_ref()
        .and_then(|url| Service::of_scheme(url.scheme()));
    let (Some(parsed), Some(service)) = (parsed, service) else {
        return Err(bad(
            "it must be file:DIRECTORY, s3://BUCKET/PREFIX, az://CONTAINER/PREFIX or gs://BUCKET/PREFIX",
        ));
    };
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(bad(&format!(
            "credentials do not belong into it; set {}",
            service.variables()
        )));
    }
    if parsed.query().is_some() || parsed.fragment().is_some() || parsed.port().is_some() {
        return Err(bad("it may only have a bucket and a prefix"));
    }
    let bucket = parsed.host_str().filter(|bucket| !bucket.is_empty());
    let bucket = bucket.ok_or_else(|| bad("the bucket is missing after ://"))?;
    let prefix = Key::from_url_path(parsed.path().trim_end_matches('/'))
        .map_err(|_| bad("its prefix is not a key"))?;
    let (objects, signer) = open_service(service, bucket, variables).map_err(|error| {
        SnapshotStoreError::Environment {
            url: url.to_owned(),
            reason: chain(&error),
            variables: service.variables(),
        }
    })?;
    let place = Place {
        url: url.trim_end_matches('/').to_owned(),
        kind: Kind::Service(service),
    };
    let objects: Arc<dyn ObjectStore> = if prefix.is_root() {
        objects
    } else {
        Arc::new(PrefixStore::new(objects, prefix.clone()))
    };
    let signer = Some(BucketSigner { signer, prefix });
    Ok(Opened {
        place,
        objects,
        signer,
    })
}

fn open_directory(url: &str, path: &str) -> Result<Opened, SnapshotStoreError> {
    if path.is_empty() {
        return Err(SnapshotStoreError::Url {
            url: url.to_owned(),
            reason: "the directory is missing after file:".to_owned(),
        });
    }
    let cannot_use = |source| SnapshotStoreError::Directory {
        path: path.into(),
        source,
    };
    std::fs::create_dir_all(path).map_err(cannot_use)?;
    let directory = std::fs::canonicalize(path).map_err(cannot_use)?;
    let objects = LocalFileSystem::new_with_prefix(&directory)
        .map_err(|e| cannot_use(io::Error::other(e)))?
        .with_fsync(true);
    let place = Place {
        url: url.to_owned(),
        kind: Kind::Directory(directory),
    };
    Ok(Opened {
        place,
        objects: Arc::new(objects),
        signer: None,
    })
}

/// Sets up the client with what the variables say, and where they say nothing about credentials, with the
/// platform's own chain (web identity, container and instance metadata, workload identity).
fn open_service(
    service: Service,
    bucket: &str,
    variables: impl IntoIterator<Item = (String, String)>,
) -> object_store::Result<(Arc<dyn ObjectStore>, Arc<dyn Signer>)> {
    let variables: Vec<(String, String)> = variables.into_iter().collect();
    let with_prefix = |prefix: &'static str| {
        let of_service = variables
            .iter()
            .filter(move |(name, _)| name.starts_with(prefix));
        of_service.map(|(name, value)| (name.to_ascii_lowercase(), value))
    };
    let value_of = |name: &str| {
        let found = variables.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    };
    // Plain HTTP only to an endpoint that somebody has given as such.
    let client = |endpoints: &[&str]| {
        let endpoint = endpoints.iter().find_map(|name| value_of(name));
        ClientOptions::new()
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_timeout(REQUEST_TIMEOUT)
            .with_allow_http(endpoint.is_some_and(|url| url.starts_with("http://")))
    };
    match service {
        Service::S3 => {
            let endpoints = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];
            let mut builder = AmazonS3Builder::new().with_client_options(client(&endpoints));
            for (name, value) in with_prefix("AWS_") {
                if let Ok(key) = name.parse() {
                    builder = builder.with_config(key, value);
                }
            }
            let s3 = builder.with_bucket_name(bucket).with_retry(retry()).build();
            let s3 = Arc::new(s3?);
            Ok((s3.clone(), s3))
        }
        Service::Azure => {
            let endpoints = ["AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"];
            let mut builder = MicrosoftAzureBuilder::new().with_client_options(client(&endpoints));
            for (name, value) in with_prefix("AZURE_") {
                if let Ok(key) = name.parse() {
                    builder = builder.with_config(key, value);
                }
            }
            // Set by App Service and Container Apps, without the prefix.
            if let Some(endpoint) = value_of("IDENTITY_ENDPOINT") {
                builder = builder.with_msi_endpoint(endpoint);
            }
            let azure = builder
                .with_container_name(bucket)
                .with_retry(retry())
                .build();
            let azure = Arc::new(azure?);
            Ok((azure.clone(), azure))
        }
        Service::Google => {
            let endpoints = ["GOOGLE_BASE_URL", "STORAGE_EMULATOR_HOST"];
            let mut builder =
                GoogleCloudStorageBuilder::new().with_client_options(client(&endpoints));
            // What Google's own libraries read; an emulator takes any credentials.
            if let Some(endpoint) = value_of("STORAGE_EMULATOR_HOST") {
                builder = builder
                    .with_config(GoogleConfigKey::BaseUrl, endpoint)
                    .with_credentials(Arc::new(StaticCredentialProvider::new(GcpCredential {
                        bearer: String::new(),
                    })));
            }
            for (name, value) in with_prefix("GOOGLE_") {
                if let Ok(key) = name.parse() {
                    builder = builder.with_config(key, value);
                }
            }
            let google = builder.with_bucket_name(bucket).with_retry(retry()).build();
            let google = Arc::new(google?);
            Ok((google.clone(), google))
        }
    }
}

fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            max_backoff: MAX_BACKOFF,
            ..BackoffConfig::default()
        },
        max_retries: MAX_RETRIES,
        retry_timeout: RETRY_TIMEOUT,
    }
}

/// A URL without what may be secret in it.
fn without_secrets(url: &str) -> String {
    let plain = url.split(['?', '#']).next().unwrap_or_default();
    match (plain.split_once("://"), plain.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) => format!("{scheme}://{place}"),
        (None, Some((_, place))) => place.to_owned(),
        (_, None) => plain.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> String {
        let variables = [("AZURE_STORAGE_ACCOUNT_NAME", "me"), ("AZURE_X", "y")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let error = open(url, variables).map(|_| ()).unwrap_err();
        assert!(!error.is_transient());
        error.to_string()
    }

    #[test]
    fn urls_that_name_no_place_are_refused_by_name() {
        for (url, reason) in [
            ("ftp://x", "file:DIRECTORY"),
            ("snapshots", "file:DIRECTORY"),
            ("file:", "directory is missing"),
            ("s3://", "bucket is missing"),
            ("az:///prefix", "bucket is missing"),
            ("s3://bucket:9000/prefix", "bucket and a prefix"),
            ("gs://bucket/prefix?x=y", "bucket and a prefix"),
        ] {
            let error = refused(url);
            assert!(error.contains("snapshots.url"), "{error}");
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_secret_in_the_url_is_refused_and_not_shown() {
        for url in [
            "s3://key:hunter2@bucket/x",
            "ftp://key:hunter2@host",
            "az://container/x?sig=hunter2",
            "s3://key:hunter2/x@bucket",
        ] {
            let error = refused(url);
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn an_environment_that_lacks_something_is_refused_by_name() {
        let half = [("AWS_ACCESS_KEY_ID".to_owned(), "key".to_owned())];
        let error = open("s3://bucket", half).map(|_| ()).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("AWS_SECRET_ACCESS_KEY"), "{error}");
        let error = open("az://container", []).map(|_| ()).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("AZURE_STORAGE_ACCOUNT_NAME"), "{error}");
    }
}
