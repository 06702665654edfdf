//! `GET /start`: whether Seedbed has a first sync for this device.

use serde_json::Value;

use crate::StreamSource;

/// Where the stream is.
pub(crate) struct Start {
    /// With a slash at its end: the SDK joins `sync/stream` to it.
    pub(crate) endpoint: String,
    pub(crate) why: String,
}

/// Asks once. An error is why it is PowerSync's turn, without the token.
pub(crate) async fn ask(
    source: &StreamSource,
    token: &str,
    generation: Option<u64>,
) -> Result<Start, String> {
    let base = source.url.trim_end_matches('/');
    let base = base.strip_suffix("/database").unwrap_or(base);
    let mut url = reqwest::Url::parse(&format!("{base}/start")).map_err(|e| e.to_string())?;
    url.query_pairs_mut()
        .append_pair("store_id", &source.store_id);
    if let Some(generation) = generation {
        url.query_pairs_mut()
            .append_pair("generation", &generation.to_string());
    }
    let request = source
        .http
        .get(url)
        .bearer_auth(token)
        .timeout(source.start_limit);
    let answer = request
        .send()
        .await
        .map_err(|e| e.without_url().to_string())?;
    let status = answer.status();
    let body = answer
        .text()
        .await
        .map_err(|e| e.without_url().to_string())?;
    let body: Value = serde_json::from_str(&body).unwrap_or_default();
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    if status != 200 {
        let error = text("error").unwrap_or_default();
        return Err(format!("{} {error}", status.as_u16()).trim_end().to_owned());
    }
    let why = text("why").unwrap_or_else(|| "bad_answer".to_owned());
    if text("from").as_deref() != Some("seedbed") {
        return Err(why);
    }
    let endpoint = text("endpoint").unwrap_or_else(|| base.to_owned());
    let endpoint = format!("{}/", endpoint.trim_end_matches('/'));
    Ok(Start { endpoint, why })
}
