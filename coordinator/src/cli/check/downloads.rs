//! Checks downloads: clients' tokens can be verified, and a URL that the object storage signs works.

use std::time::Duration;

use reqwest::header;
use seedbed_protocol::{
    error::chain, objects::CHECK_CONTENT, process::outbound, snapshots::SnapshotRepository,
};
use url::{Host, Url};

use super::{objects::Probed, report::Checked};
use crate::{http::check_keys, settings::Settings};

/// How long the object storage has to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long the URL is good for.
const LIFETIME: Duration = Duration::from_secs(60);

/// Checks that clients' tokens can be verified, and downloads the object by a signed URL.
pub(super) async fn check(settings: &Settings, probed: &Probed) -> Checked<String> {
    settings.check_serve()?;
    let tokens = check_keys(&settings.download).await?;
    if probed.snapshots.local_path("").is_some() {
        return Ok(format!("{tokens}; URLs are signed by `seedbed serve`"));
    }
    let key = &probed.object.stored.key;
    let public = match &settings.download.store_endpoint {
        Some(endpoint) => SnapshotRepository::open_at(&settings.snapshots, endpoint)?,
        None => probed.snapshots.clone(),
    };
    let url = signed(&public, key).await?;
    refuse_loopback(settings, &url)?;
    match download(&url).await {
        Ok(()) => {
            check_cors(settings, &url).await?;
            Ok(format!("{tokens}; a signed URL was downloaded"))
        }
        Err(Failed::Unreachable(reason)) if settings.download.store_endpoint.is_some() => {
            // The signature is good all the same: only the host differs.
            let inside = signed(&probed.snapshots, key).await?;
            download(&inside).await.map_err(|e| e.told(&inside))?;
            Ok(format!(
                "{tokens}; a signed URL was downloaded by the endpoint of this machine. Not tried: {} \
                 (download.store_endpoint), which does not answer here ({reason}) and has to on devices",
                url.origin().ascii_serialization()
            ))
        }
        Err(failed) => Err(failed.told(&url).into()),
    }
}

/// Why an object could not be downloaded.
enum Failed {
    /// Nothing answers.
    Unreachable(String),
    Refused(String),
}

impl Failed {
    /// Says it of a URL, which itself is a secret for as long as it is good.
    fn told(self, url: &Url) -> String {
        let endpoint = url.origin().ascii_serialization();
        let (Self::Unreachable(reason) | Self::Refused(reason)) = self;
        format!(
            "a signed URL at {endpoint} cannot be downloaded: {reason}; clients need an endpoint that they reach \
             (download.store_endpoint) and credentials that may read"
        )
    }
}

async fn signed(signer: &SnapshotRepository, key: &str) -> Checked<Url> {
    let url = signer.sign(key, LIFETIME).await?;
    Ok(url.expect("what is no directory signs URLs"))
}

/// A URL of this machine itself is good here, and nowhere else.
fn refuse_loopback(settings: &Settings, url: &Url) -> Checked<()> {
    let server = settings.serve.public_url.as_ref();
    if is_loopback(url) && server.is_some_and(|server| !is_loopback(server)) {
        return Err(format!(
            "devices would be sent to {}, which is their own machine; set download.store_endpoint to the URL that they \
             reach the object storage by",
            url.origin().ascii_serialization()
        )
        .into());
    }
    Ok(())
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Downloads the object as a client does.
async fn download(url: &Url) -> Result<(), Failed> {
    let refused = |reason: String| Failed::Refused(reason);
    let client = outbound::client().timeout(TIMEOUT).build();
    let client = client.map_err(|e| refused(e.to_string()))?;
    let answer = client.get(url.clone()).send().await;
    let answer = answer.map_err(|e| Failed::Unreachable(chain(&e.without_url())))?;
    let status = answer.status();
    let content = answer.text().await;
    let content = content.map_err(|e| refused(e.without_url().to_string()))?;
    if !status.is_success() || content != CHECK_CONTENT {
        return Err(refused(format!("it answers {status}")));
    }
    Ok(())
}

/// Checks that pages of `serve.cors_origins` may read what they download.
async fn check_cors(settings: &Settings, url: &Url) -> Checked<()> {
    let client = outbound::client().timeout(TIMEOUT).build()?;
    for origin in &settings.serve.cors_origins {
        let asked = client.get(url.clone()).header(header::ORIGIN, origin);
        let answer = asked.send().await.map_err(reqwest::Error::without_url)?;
        let allowed = answer.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        let allowed = allowed.and_then(|value| value.to_str().ok());
        if !allowed.is_some_and(|allowed| allowed == "*" || allowed == origin) {
            return Err(format!(
                "pages of {origin} (serve.cors_origins) may not download from {}: its answer allows {}; give the bucket a \
                 CORS rule with this origin, the method GET and the header Range",
                url.origin().ascii_serialization(),
                allowed.unwrap_or("no origin")
            )
            .into());
        }
    }
    Ok(())
}
