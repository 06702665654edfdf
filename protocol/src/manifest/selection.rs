//! What a client selects from a PowerSync service, besides what its token does, as one digest that can be compared.

use serde_json::{Map, Value, json};

use crate::digest::sha256_hex;

/// One explicit subscription to a Sync Stream.
#[derive(Debug, Clone, Copy)]
pub struct Subscribed<'a> {
    pub stream: &'a str,
    /// `None` is the same as none at all.
    pub parameters: Option<&'a Map<String, Value>>,
    /// Overrides the stream's priority.
    pub priority: Option<u8>,
}

/// Returns the SHA-256, in hex, of what a client asks for: its parameters, whether it takes the streams that the sync
/// config subscribes everyone to, and what it subscribes to itself. Two clients that get the same buckets have the same,
/// whatever the order in which they say it.
pub fn selection<'a>(
    parameters: &Map<String, Value>,
    default_streams: bool,
    subscriptions: impl IntoIterator<Item = Subscribed<'a>>,
) -> String {
    let subscriptions = subscriptions.into_iter().map(|subscribed| {
        let parameters = subscribed.parameters.map(sorted).unwrap_or_default();
        json!([subscribed.stream, parameters, subscribed.priority]).to_string()
    });
    let mut subscriptions: Vec<_> = subscriptions.collect();
    subscriptions.sort_unstable();
    subscriptions.dedup();
    sha256_hex(json!([sorted(parameters), default_streams, subscriptions]).to_string())
}

/// Returns the object with its members, and those of what is in it, in the order of their names.
fn sorted(object: &Map<String, Value>) -> Map<String, Value> {
    let members = object.iter();
    let mut members: Vec<_> = members
        .map(|(name, value)| (name.clone(), ordered(value)))
        .collect();
    members.sort_by(|(one, _), (other, _)| one.cmp(other));
    members.into_iter().collect()
}

fn ordered(value: &Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(sorted(object)),
        Value::Array(values) => values.iter().map(ordered).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(
        parameters: &Value,
        defaults: bool,
        subscriptions: &[(&str, Value, Option<u8>)],
    ) -> String {
        let subscribed = subscriptions
            .iter()
            .map(|(stream, parameters, priority)| Subscribed {
                stream,
                parameters: parameters.as_object(),
                priority: *priority,
            });
        selection(parameters.as_object().unwrap(), defaults, subscribed)
    }

    #[test]
    fn the_order_does_not_count_and_everything_else_does() {
        let one = of(
            &json!({"a": 1, "b": {"x": 1, "y": [2]}}),
            true,
            &[
                ("s", json!({"p": 1, "q": "2"}), None),
                ("t", Value::Null, Some(1)),
            ],
        );
        let same = of(
            &json!({"b": {"y": [2], "x": 1}, "a": 1}),
            true,
            &[
                ("t", json!({}), Some(1)),
                ("s", json!({"q": "2", "p": 1}), None),
                ("t", Value::Null, Some(1)),
            ],
        );
        assert_eq!(one, same);
        let nothing = of(&json!({}), true, &[]);
        for other in [
            of(&json!({"a": 1}), true, &[]),
            of(&json!({"a": "1"}), true, &[]),
            of(&json!({}), false, &[]),
            of(&json!({}), true, &[("s", Value::Null, None)]),
            of(&json!({}), true, &[("s", Value::Null, Some(0))]),
            of(&json!({}), true, &[("s", json!({"p": null}), None)]),
        ] {
            assert_ne!(other, nothing);
        }
    }
}
