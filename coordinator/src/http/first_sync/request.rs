//! What a device has and asks for: the body of its `POST /sync/stream`, as SDKs of powersync-service 1.25.0 send it.

use seedbed_protocol::manifest::{Subscribed, selection};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The most buckets that a device may say it has. The service itself allows 1,000 unless it is told otherwise.
pub(super) const MAX_BUCKETS: usize = 5_000;

/// The largest body, in bytes: the positions of so many buckets.
pub(super) const MAX_BODY_BYTES: usize = 1024 * 1024;

/// The body, as far as it matters here. A device may send none at all.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct StreamRequest {
    pub(super) buckets: Vec<Position>,
    parameters: Option<Map<String, Value>>,
    streams: Option<Streams>,
}

/// How far a device has come with one bucket.
#[derive(Debug, Deserialize)]
pub(super) struct Position {
    pub(super) name: String,
    /// The last operation that it has; empty for none.
    #[serde(default)]
    after: String,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct Streams {
    include_defaults: bool,
    subscriptions: Vec<Subscription>,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            include_defaults: true,
            subscriptions: Vec::new(),
        }
    }
}

#[derive(Debug, Deserialize)]
struct Subscription {
    stream: String,
    #[serde(default)]
    parameters: Option<Map<String, Value>>,
    #[serde(default)]
    override_priority: Option<u8>,
}

impl StreamRequest {
    /// Reads a body.
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        // Serde would take a list for the fields of a struct.
        let body: Map<String, Value> = serde_json::from_slice(body).map_err(|e| e.to_string())?;
        let request: Self = serde_json::from_value(body.into()).map_err(|e| e.to_string())?;
        let bad = request
            .buckets
            .iter()
            .find(|bucket| bucket.op_id().is_none());
        match bad {
            Some(bucket) => Err(format!("{:?} is not an operation id", bucket.after)),
            None => Ok(request),
        }
    }

    /// Returns what it asks for, as renditions say whom they are for.
    pub(super) fn selection(&self) -> String {
        let (none, all) = (Map::new(), Streams::default());
        let streams = self.streams.as_ref().unwrap_or(&all);
        let subscriptions = streams.subscriptions.iter();
        let subscriptions = subscriptions.map(|subscription| Subscribed {
            stream: &subscription.stream,
            parameters: subscription.parameters.as_ref(),
            priority: subscription.override_priority,
        });
        let parameters = self.parameters.as_ref().unwrap_or(&none);
        selection(parameters, streams.include_defaults, subscriptions)
    }
}

impl Position {
    /// Returns the last operation that the device has of the bucket, 0 for none; `None` if that is no number.
    pub(super) fn op_id(&self) -> Option<i64> {
        match self.after.as_str() {
            "" => Some(0),
            number => number.parse().ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(body: Value) -> Result<StreamRequest, String> {
        StreamRequest::parse(body.to_string().as_bytes())
    }

    #[test]
    fn a_body_is_read_as_sdks_send_it_and_nothing_else_is_taken_for_one() {
        let plain = StreamRequest::parse(b"").unwrap();
        for same in [
            json!({}),
            json!({"buckets": [], "parameters": null, "streams": null}),
            json!({"buckets": [], "include_checksum": true, "raw_data": true, "binary_data": true, "client_id": "x",
                "parameters": {}, "streams": {"include_defaults": true, "subscriptions": []}, "app_metadata": {}}),
        ] {
            assert_eq!(parse(same).unwrap().selection(), plain.selection());
        }
        let positions =
            parse(json!({"buckets": [{"name": "1#a[]", "after": "7"}, {"name": "1#b[]"}]}));
        let positions = positions.unwrap().buckets;
        let op_ids: Vec<_> = positions.iter().map(Position::op_id).collect();
        assert_eq!(op_ids, [Some(7), Some(0)]);
        for bad in [
            json!([]),
            json!("x"),
            json!({"buckets": [{"name": "a", "after": "x"}]}),
            json!({"buckets": {}}),
            json!({"streams": {"subscriptions": [{}]}}),
        ] {
            assert!(parse(bad.clone()).is_err(), "{bad}");
        }
        assert!(StreamRequest::parse(b"{").is_err());
    }
}
