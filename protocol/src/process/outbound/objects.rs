//! The HTTP clients of object storage: as `object_store` makes them, but they stay where they were sent.

use std::{str::FromStr, sync::Arc, time::Duration};

use async_trait::async_trait;
use http::header::LOCATION;
use object_store::{
    ClientConfigKey, ClientOptions,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    },
};
use reqwest::{Certificate, ClientBuilder, NoProxy, Proxy};
use url::Url;

use super::{
    redirect::{next_within_origin, policy},
    resolver::Resolver,
};

/// Where the client of Google Cloud Storage fetches its credentials. The others use addresses.
const GOOGLE_METADATA: &str = "metadata.google.internal";

/// Makes clients that follow redirects within an origin only, and reach link-local addresses only for credentials.
#[derive(Debug, Clone, Copy)]
pub struct StayingConnector;

impl HttpConnector for StayingConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let options = Options(options);
        let resolver = Resolver {
            exception: Some(GOOGLE_METADATA),
        };
        let builder = reqwest::Client::builder()
            .redirect(policy())
            .dns_resolver(Arc::new(resolver));
        let client = options.apply(builder)?.build().map_err(failed)?;
        Ok(HttpClient::new(Staying(client)))
    }
}

/// A client that refuses redirects to another origin. Its policy does not see those of an upload, whose body cannot be sent
/// again.
#[derive(Debug)]
struct Staying(reqwest::Client);

#[async_trait]
impl HttpService for Staying {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let asked = Url::parse(&request.uri().to_string());
        let answer = self.0.call(request).await?;
        let location = answer.headers().get(LOCATION);
        let location = location.and_then(|location| location.to_str().ok());
        if let (Ok(asked), true, Some(location)) =
            (asked, answer.status().is_redirection(), location)
        {
            next_within_origin(&asked, Some(location), 1)
                .map_err(|refused| HttpError::new(HttpErrorKind::Unknown, refused))?;
        }
        Ok(answer)
    }
}

/// The options that a user can set by variables of the environment.
struct Options<'a>(&'a ClientOptions);

impl Options<'_> {
    fn apply(&self, mut builder: ClientBuilder) -> object_store::Result<ClientBuilder> {
        use ClientConfigKey as Key;
        let user_agent = self.text(Key::UserAgent);
        builder = builder.user_agent(user_agent.unwrap_or_else(|| "seedbed".to_owned()));
        if let Some(timeout) = self.duration(Key::Timeout) {
            builder = builder.timeout(timeout);
        }
        if let Some(timeout) = self.duration(Key::ConnectTimeout) {
            builder = builder.connect_timeout(timeout);
        }
        if let Some(timeout) = self.duration(Key::ReadTimeout) {
            builder = builder.read_timeout(timeout);
        }
        if let Some(timeout) = self.duration(Key::PoolIdleTimeout) {
            builder = builder.pool_idle_timeout(timeout);
        }
        if let Some(most) = self.parsed(Key::PoolMaxIdlePerHost) {
            builder = builder.pool_max_idle_per_host(most);
        }
        if let Some(url) = self.text(Key::ProxyUrl) {
            builder = self.proxy(builder, &url)?;
        }
        if self.is_on(Key::NoSystemCertificates) {
            builder = builder.tls_certs_only([]);
        }
        if self.is_on(Key::AllowInvalidCertificates) {
            builder = builder.danger_accept_invalid_certs(true);
        }
        if self.is_on(Key::Http1Only) {
            builder = builder.http1_only();
        }
        if self.is_on(Key::Http2Only) {
            builder = builder.http2_prior_knowledge();
        }
        // The length of an object is read from its answer, which compression would change.
        let plain = builder.no_gzip().no_brotli().no_zstd().no_deflate();
        Ok(plain.https_only(!self.is_on(Key::AllowHttp)))
    }

    fn proxy(&self, mut builder: ClientBuilder, url: &str) -> object_store::Result<ClientBuilder> {
        let mut proxy = Proxy::all(url).map_err(failed)?;
        if let Some(pem) = self.text(ClientConfigKey::ProxyCaCertificate) {
            let certificate = Certificate::from_pem(pem.as_bytes()).map_err(failed)?;
            builder = builder.tls_certs_merge([certificate]);
        }
        if let Some(excludes) = self.text(ClientConfigKey::ProxyExcludes) {
            proxy = proxy.no_proxy(NoProxy::from_string(&excludes));
        }
        Ok(builder.proxy(proxy))
    }

    fn text(&self, key: ClientConfigKey) -> Option<String> {
        self.0.get_config_value(&key)
    }

    fn parsed<T: FromStr>(&self, key: ClientConfigKey) -> Option<T> {
        self.text(key)?.parse().ok()
    }

    fn duration(&self, key: ClientConfigKey) -> Option<Duration> {
        humantime::parse_duration(&self.text(key)?).ok()
    }

    fn is_on(&self, key: ClientConfigKey) -> bool {
        let on = |text: String| ["1", "true", "on", "yes", "y"].contains(&text.as_str());
        self.text(key)
            .is_some_and(|text| on(text.to_ascii_lowercase()))
    }
}

fn failed(error: reqwest::Error) -> object_store::Error {
    object_store::Error::Generic {
        store: "HTTP client",
        source: Box::new(error),
    }
}
