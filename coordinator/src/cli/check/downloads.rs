//! Checks downloads: clients' tokens can be verified, and a URL that the object storage signs works.

use std::time::Duration;

use seedbed_protocol::{
    error::chain, objects::CHECK_CONTENT, process::outbound, snapshots::SnapshotRepository,
};

use super::report::Checked;
use crate::{http::check_keys, settings::Settings};

/// How long the object storage has to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long the URL is good for.
const LIFETIME: Duration = Duration::from_secs(60);

pub(super) async fn check(settings: &Settings) -> Checked<String> {
    settings.check_serve()?;
    let tokens = check_keys(&settings.download).await?;
    let snapshots = SnapshotRepository::open(&settings.snapshots)?;
    if snapshots.local_path("").is_some() {
        return Ok(format!("{tokens}; URLs are signed by `seedbed serve`"));
    }
    let signer = match &settings.download.store_endpoint {
        Some(endpoint) => SnapshotRepository::open_at(&settings.snapshots, endpoint)?,
        None => snapshots.clone(),
    };
    let written = snapshots.write_check_object().await?;
    let downloaded = download(&signer, &written.key).await;
    let removed = snapshots.remove_check_object(&written).await;
    downloaded?;
    removed?;
    Ok(format!("{tokens}; a signed URL was downloaded"))
}

/// Downloads an object as a client does.
async fn download(signer: &SnapshotRepository, key: &str) -> Checked<()> {
    let url = signer.sign(key, LIFETIME).await?;
    let url = url.expect("what is no directory signs URLs");
    let endpoint = url.origin().ascii_serialization();
    // The URL itself is a secret for as long as it is good.
    let failed = |reason: String| {
        format!(
            "a signed URL at {endpoint} cannot be downloaded: {reason}; clients need an endpoint that they reach \
             (download.store_endpoint) and credentials that may read"
        )
    };
    let client = outbound::client().timeout(TIMEOUT).build()?;
    let answer = client.get(url).send().await;
    let answer = answer.map_err(|e| failed(chain(&e.without_url())))?;
    let status = answer.status();
    let content = answer
        .text()
        .await
        .map_err(|e| failed(e.without_url().to_string()))?;
    if !status.is_success() || content != CHECK_CONTENT {
        return Err(failed(format!("it answers {status}")).into());
    }
    Ok(())
}
