//! Sets up the clients of S3, Azure Blob Storage and Google Cloud Storage from the environment.

pub(super) mod delegation;
pub(super) mod lacks;
pub(super) mod sas;

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, RetryConfig, StaticCredentialProvider,
    aws::AmazonS3Builder,
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
    gcp::{GcpCredential, GoogleCloudStorageBuilder, GoogleConfigKey},
    signer::Signer,
};
use url::Url;

use self::{
    delegation::Delegation,
    lacks::NoRetry,
    sas::{AzureSigner, SigningKey},
};
use super::place::Service;
use crate::process::outbound::{StayingConnector, refuse_link_local};

/// How long connecting may take. A service that does not answer at all is noticed within [`RETRY_TIMEOUT`].
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one request may take: one part of an upload at 140 kB/s. A longer download continues with another
/// request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// After this time, a request that failed is not retried.
const RETRY_TIMEOUT: Duration = Duration::from_secs(60);

/// Tries of one request after the first.
const MAX_RETRIES: usize = 6;

/// The longest pause between them.
const MAX_BACKOFF: Duration = Duration::from_secs(10);

/// The variables that say where a service is.
pub(super) const ENDPOINTS: [&str; 7] = [
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT",
    "AZURE_STORAGE_ENDPOINT",
    "AZURE_ENDPOINT",
    "GOOGLE_BASE_URL",
    "STORAGE_EMULATOR_HOST",
];

/// One of them for each service.
pub(super) const CHOSEN_ENDPOINTS: [&str; 3] = [
    "AWS_ENDPOINT_URL",
    "AZURE_STORAGE_ENDPOINT",
    "GOOGLE_BASE_URL",
];

const S3_ENDPOINTS: [&str; 3] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];
const AZURE_ENDPOINTS: [&str; 2] = ["AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"];
const GOOGLE_ENDPOINTS: [&str; 2] = ["GOOGLE_BASE_URL", "STORAGE_EMULATOR_HOST"];

/// A client of one bucket.
pub(super) struct Client {
    pub(super) objects: Arc<dyn ObjectStore>,
    /// The same, but deletes objects one by one, where others are deleted together.
    pub(super) singly: Option<Arc<dyn ObjectStore>>,
    pub(super) signer: Arc<dyn Signer>,
    /// Signs URLs instead of `signer`, if there is one.
    pub(super) azure_signer: Option<AzureSigner>,
}

impl Client {
    fn new<Objects: ObjectStore + Signer>(objects: Objects) -> Self {
        let objects = Arc::new(objects);
        Self {
            objects: objects.clone(),
            singly: None,
            signer: objects,
            azure_signer: None,
        }
    }
}

/// Sets up a client with what the variables say, and where they say nothing about credentials, with the platform's own
/// chain (web identity, container and instance metadata, workload identity).
pub(super) fn open(
    service: Service,
    bucket: &str,
    variables: impl IntoIterator<Item = (String, String)>,
) -> object_store::Result<Client> {
    let variables = Variables(variables.into_iter().collect());
    variables.check_endpoints()?;
    match service {
        Service::S3 => open_s3(bucket, &variables),
        Service::Azure => open_azure(bucket, &variables),
        Service::Google => open_google(bucket, &variables),
    }
}

fn open_s3(bucket: &str, variables: &Variables) -> object_store::Result<Client> {
    let mut builder = AmazonS3Builder::new().with_client_options(variables.client(&S3_ENDPOINTS));
    for (name, value) in variables.with_prefix("AWS_") {
        if let Ok(key) = name.parse() {
            builder = builder.with_config(key, value);
        }
    }
    let builder = builder
        .with_bucket_name(bucket)
        .with_retry(retry())
        .with_http_connector(NoRetry);
    let singly = builder.clone().with_disable_bulk_delete(true).build()?;
    Ok(Client {
        singly: Some(Arc::new(singly)),
        ..Client::new(builder.build()?)
    })
}

fn open_azure(container: &str, variables: &Variables) -> object_store::Result<Client> {
    let client = variables.client(&AZURE_ENDPOINTS);
    let mut builder = MicrosoftAzureBuilder::new()
        .with_http_connector(StayingConnector)
        .with_client_options(client);
    for (name, value) in variables.with_prefix("AZURE_") {
        if let Ok(key) = name.parse() {
            builder = builder.with_config(key, value);
        }
    }
    // Set by App Service and Container Apps, without the prefix.
    if let Some(endpoint) = variables.value_of("IDENTITY_ENDPOINT") {
        builder = builder.with_msi_endpoint(endpoint);
    }
    let value = |key| builder.get_config_value(&key);
    let (account, key) = (
        value(AzureConfigKey::AccountName),
        value(AzureConfigKey::AccessKey),
    );
    let endpoint = value(AzureConfigKey::Endpoint);
    let is_fabric = value(AzureConfigKey::UseFabricEndpoint).is_some_and(|set| set == "true");
    let azure = builder
        .with_container_name(container)
        .with_retry(retry())
        .build()?;
    let azure_signer = account.filter(|_| !is_fabric).and_then(|account| {
        let service =
            endpoint.unwrap_or_else(|| format!("https://{account}.blob.core.windows.net"));
        let service = Url::parse(&service).ok()?;
        let mut inside = service.clone();
        let mut path = inside.path_segments_mut().ok()?;
        path.pop_if_empty().push(container);
        drop(path);
        let key = match key {
            Some(key) => SigningKey::Account(STANDARD.decode(key).ok()?),
            None => {
                let credentials = azure.credentials().clone();
                SigningKey::Lent(Arc::new(Delegation::new(credentials, service)?))
            }
        };
        Some(AzureSigner::new(account, inside, key))
    });
    Ok(Client {
        azure_signer,
        ..Client::new(azure)
    })
}

fn open_google(bucket: &str, variables: &Variables) -> object_store::Result<Client> {
    let client = variables.client(&GOOGLE_ENDPOINTS);
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_http_connector(StayingConnector)
        .with_client_options(client);
    // What Google's own libraries read; an emulator takes any credentials.
    if let Some(endpoint) = variables.value_of("STORAGE_EMULATOR_HOST") {
        builder = builder
            .with_config(GoogleConfigKey::BaseUrl, endpoint)
            .with_credentials(Arc::new(StaticCredentialProvider::new(GcpCredential {
                bearer: String::new(),
            })));
    }
    for (name, value) in variables.with_prefix("GOOGLE_") {
        if let Ok(key) = name.parse() {
            builder = builder.with_config(key, value);
        }
    }
    let google = builder.with_bucket_name(bucket).with_retry(retry()).build();
    Ok(Client::new(google?))
}

/// Environment variables, names and values.
struct Variables(Vec<(String, String)>);

impl Variables {
    fn value_of(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Returns those whose names begin with `prefix`, the names in lower case.
    fn with_prefix(&self, prefix: &'static str) -> impl Iterator<Item = (String, &String)> {
        let of_service = self.0.iter();
        let of_service = of_service.filter(move |(name, _)| name.starts_with(prefix));
        of_service.map(|(name, value)| (name.to_ascii_lowercase(), value))
    }

    /// Refuses endpoints at which no object storage is, but a machine's metadata.
    fn check_endpoints(&self) -> object_store::Result<()> {
        let urls = ENDPOINTS.iter().filter_map(|name| self.value_of(name));
        for url in urls.filter_map(|url| url.parse::<Url>().ok()) {
            refuse_link_local(&url).map_err(|source| object_store::Error::Generic {
                store: "endpoint",
                source: source.into(),
            })?;
        }
        Ok(())
    }

    /// Returns options that allow plain HTTP only if the first of `endpoints` that is set asks for it.
    fn client(&self, endpoints: &[&str]) -> ClientOptions {
        let endpoint = endpoints.iter().find_map(|name| self.value_of(name));
        ClientOptions::new()
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_timeout(REQUEST_TIMEOUT)
            .with_allow_http(endpoint.is_some_and(|url| url.starts_with("http://")))
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
