//! Checks that no policy of RabbitMQ changes what Seedbed's queues are declared with. AMQP does not say so; the management API does.

use std::time::Duration;

use regex::Regex;
use reqwest::{RequestBuilder, StatusCode};
use seedbed_protocol::{
    broker::{self, BrokerConfig, Queue, RETURN_LIMIT},
    process::outbound,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use super::report::Checked;

/// How long the management API has to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What was found.
pub(super) enum Policies {
    /// They are as they should be.
    Fine(String),
    /// They cannot be seen from here.
    Untried(String),
}

/// A policy as the management API describes it, of an operator or not.
#[derive(Deserialize)]
struct Policy {
    name: String,
    /// The queues that it is for, a regular expression.
    pattern: String,
    #[serde(rename = "apply-to", default)]
    applies_to: String,
    #[serde(default)]
    priority: i64,
    definition: Map<String, Value>,
}

impl Policy {
    /// Whether it is for quorum queues.
    fn is_for_queues(&self) -> bool {
        !matches!(
            self.applies_to.as_str(),
            "exchanges" | "streams" | "classic_queues"
        )
    }
}

pub(super) async fn check(config: &BrokerConfig) -> Checked<Policies> {
    let Some((api, vhost)) = management(config) else {
        return Ok(Policies::Untried(
            "not tried: broker.url has no host".to_owned(),
        ));
    };
    let place = api.origin().ascii_serialization();
    let untried = |why: String| {
        Ok(Policies::Untried(format!(
            "not tried: the management API at {place} {why} (broker.management_url); see for yourself with `rabbitmqctl \
             list_policies`"
        )))
    };
    let amqp = config.url.expose();
    let decoded = |text: &str| decoded(text).unwrap_or_default();
    let (user, password) = match amqp.username() {
        "" => ("guest".to_owned(), "guest".to_owned()),
        user => (decoded(user), decoded(amqp.password().unwrap_or_default())),
    };
    let mut client = outbound::client_without_redirects().timeout(TIMEOUT);
    if let Some(file) = &config.ca_file {
        let pem = std::fs::read(file)?;
        client = client.tls_certs_merge(reqwest::Certificate::from_pem_bundle(&pem)?);
    }
    let client = client.build()?;
    // RabbitMQ takes one policy of each kind for a queue.
    let mut kinds = Vec::new();
    for kind in ["policies", "operator-policies"] {
        let mut url = api.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", kind, &vhost]);
        }
        let request = client.get(url).basic_auth(&user, Some(&password));
        match policies_of(request).await {
            Ok(policies) => kinds.push(policies),
            Err(why) => return untried(why),
        }
    }
    judged(&kinds, config.consumer_timeout)
}

/// Returns the policies, or why they cannot be seen.
async fn policies_of(request: RequestBuilder) -> Result<Vec<Policy>, String> {
    let answer = request.send().await;
    let answer = answer.map_err(|_| "does not answer".to_owned())?;
    match answer.status() {
        status if status.is_success() => {
            let policies = answer.json().await;
            policies.map_err(|_| "answers with something else".to_owned())
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            let why = "does not let the user of broker.url in, who has no tag such as monitoring";
            Err(why.to_owned())
        }
        status => Err(format!("answers {status}")),
    }
}

/// Says what the policies do to Seedbed's queues, whether these are there yet or not.
fn judged(kinds: &[Vec<Policy>], consumer_timeout: Duration) -> Checked<Policies> {
    let mut harms = Vec::new();
    let queues = broker::declared_queues();
    for policies in kinds {
        let mut patterns = Vec::new();
        for policy in policies.iter().filter(|policy| policy.is_for_queues()) {
            let Ok(pattern) = Regex::new(&policy.pattern) else {
                return Ok(Policies::Untried(format!(
                    "not tried: whether the policy {} is for Seedbed's queues, as its pattern {} is not understood here; see \
                     for yourself that it sets no limit of theirs",
                    policy.name, policy.pattern
                )));
            };
            patterns.push((pattern, policy));
        }
        for queue in &queues {
            let fit = patterns
                .iter()
                .filter(|(pattern, _)| pattern.is_match(queue));
            // Of several with the same priority, RabbitMQ takes any.
            let first = fit.clone().map(|(_, policy)| policy.priority).max();
            for (_, policy) in fit.filter(|(_, policy)| Some(policy.priority) == first) {
                for harm in harms_of(queue, &policy.definition, consumer_timeout) {
                    harms.push(format!("{queue}: the policy {} {harm}", policy.name));
                }
            }
        }
    }
    if harms.is_empty() {
        return Ok(Policies::Fine(format!(
            "no policy changes what the {} queues of Seedbed are declared with",
            queues.len()
        )));
    }
    Err(format!(
        "{}; take these queues out of it (rabbitmqctl set_policy with another pattern, or clear_policy)",
        harms.join("; ")
    )
    .into())
}

/// What a policy does to a queue that it must not do.
fn harms_of(
    queue: &str,
    definition: &Map<String, Value>,
    consumer_timeout: Duration,
) -> Vec<String> {
    let number = |key: &str| definition.get(key).and_then(Value::as_u64);
    let mut harms = Vec::new();
    let mut harm = |key: &str, does: &str| {
        if let Some(value) = number(key) {
            harms.push(format!("sets {key} to {value}: {does}"));
        }
    };
    harm("expires", "RabbitMQ deletes the queue when nobody uses it");
    // Heartbeats are many, and of no use for long.
    if queue != Queue::Workers.name() {
        harm(
            "message-ttl",
            "what waits for longer is parked or tried too early",
        );
        harm("max-length", "what is more is refused");
        harm("max-length-bytes", "what is more is refused");
        let least = if queue == Queue::Jobs.name() {
            u64::from(RETURN_LIMIT)
        } else {
            u64::MAX
        };
        if number("delivery-limit").is_some_and(|limit| limit < least) {
            harm("delivery-limit", "what comes back is parked too early");
        }
        if number("consumer-timeout")
            .is_some_and(|millis| u128::from(millis) < consumer_timeout.as_millis())
        {
            harm(
                "consumer-timeout",
                "shorter than broker.consumer_timeout, so a long job goes to a second worker",
            );
        }
    }
    harms
}

/// Where the management API is, and the virtual host: what the settings say, or where RabbitMQ has it by default.
fn management(config: &BrokerConfig) -> Option<(Url, String)> {
    let amqp = config.url.expose();
    let vhost = match amqp.path().trim_start_matches('/') {
        "" => "/".to_owned(),
        path => decoded(path)?,
    };
    if let Some(url) = &config.management_url {
        return Some((url.clone(), vhost));
    }
    let (scheme, port) = match amqp.scheme() {
        "amqps" => ("https", 15_671),
        _ => ("http", 15_672),
    };
    let host = amqp.host_str()?;
    Some((
        Url::parse(&format!("{scheme}://{host}:{port}/")).ok()?,
        vhost,
    ))
}

/// A part of a URL without its percent signs.
fn decoded(text: &str) -> Option<String> {
    // What a form has for a space is itself here.
    let text = format!("x={}", text.replace('+', "%2B"));
    let mut pairs = url::form_urlencoded::parse(text.as_bytes());
    pairs.next().map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(policies: Value) -> Result<String, String> {
        let policies: Vec<Policy> = serde_json::from_value(policies).unwrap();
        match judged(&[Vec::new(), policies], Duration::from_secs(7_200)) {
            Ok(Policies::Fine(told) | Policies::Untried(told)) => Ok(told),
            Err(error) => Err(error.to_string()),
        }
    }

    fn policy(pattern: &str, definition: Value) -> Value {
        json!({"name": "p", "pattern": pattern, "apply-to": "queues", "definition": definition})
    }

    #[test]
    fn a_policy_that_changes_a_limit_is_named_and_others_are_not() {
        let fine = [
            policy(
                "^seed\\.jobs$",
                json!({"delivery-limit": 5, "queue-leader-locator": "balanced"}),
            ),
            policy("^seed\\.jobs$", json!({"consumer-timeout": 7_200_000})),
            policy("workers", json!({"max-length": 10, "message-ttl": 5})),
            policy("^other", json!({"message-ttl": 5})),
        ];
        let mut streams = policy(".*", json!({"message-ttl": 5}));
        streams["apply-to"] = json!("streams");
        for policy in fine.into_iter().chain([streams]) {
            told(json!([policy])).unwrap();
        }
        told(json!([])).unwrap();
        for (queue, key, value) in [
            ("seed.jobs", "message-ttl", 60_000),
            ("seed.jobs", "max-length", 10),
            ("seed.events", "max-length-bytes", 10),
            ("seed.jobs", "delivery-limit", 4),
            ("seed.events", "delivery-limit", 20),
            ("seed.jobs", "consumer-timeout", 60_000),
            ("seed.jobs.delay.64", "message-ttl", 10),
            ("seed.workers", "expires", 10),
        ] {
            let pattern = format!("^{}$", queue.replace('.', "\\."));
            let told = told(json!([policy(&pattern, json!({ key: value }))])).unwrap_err();
            assert!(
                told.contains(&format!("{queue}: the policy p sets {key} to {value}")),
                "{told}"
            );
        }
    }

    #[test]
    fn the_policy_with_the_highest_priority_counts_alone() {
        let harmful = policy("^seed", json!({"max-length": 10}));
        let mut above = policy("^seed", json!({}));
        above["priority"] = json!(1);
        told(json!([harmful, above])).unwrap();
        told(json!([harmful])).unwrap_err();
    }

    #[test]
    fn a_pattern_that_is_not_understood_is_said() {
        let told = told(json!([policy("(?!seed)", json!({"max-length": 10}))])).unwrap();
        assert!(
            told.contains("the policy p") && told.contains("(?!seed)"),
            "{told}"
        );
    }

    #[test]
    fn the_management_api_is_where_rabbitmq_has_it_or_where_the_settings_say() {
        let at = |amqp: &str| {
            let config = BrokerConfig::new(seedbed_protocol::broker::BrokerUrl::new(amqp).unwrap());
            let (url, vhost) = management(&config).unwrap();
            format!("{url} {vhost}")
        };
        assert_eq!(at("amqp://a:b@mq"), "http://mq:15672/ /");
        assert_eq!(at("amqps://a:b@mq:5671/%2F"), "https://mq:15671/ /");
        assert_eq!(at("amqp://a:b@mq/a%2Bb"), "http://mq:15672/ a+b");
    }
}
