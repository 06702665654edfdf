//! Checks that no policy of RabbitMQ changes what Seedbed's queues are declared with. AMQP does not say so; the management API does.

use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode};
use seedbed_protocol::{
    broker::{BrokerConfig, Queue, RETURN_LIMIT},
    process::outbound,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep};
use url::Url;

use super::report::Checked;

/// How long the management API has to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// RabbitMQ collects what it says of a queue every five seconds: of one that was just declared it says nothing before.
const COLLECTED: Duration = Duration::from_secs(12);

/// Between two questions.
const PAUSE: Duration = Duration::from_secs(1);

/// What was found.
pub(super) enum Policies {
    /// They are as they should be.
    Fine(String),
    /// They cannot be seen from here.
    Untried(String),
}

/// A queue as the management API describes it.
#[derive(Deserialize)]
struct Described {
    name: String,
    policy: Option<String>,
    operator_policy: Option<String>,
    /// A list where there is none.
    #[serde(default)]
    effective_policy_definition: Value,
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
    let mut url = api.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["api", "queues", &vhost]);
    }
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
    let request = client.build()?.get(url).basic_auth(user, Some(password));
    let until = Instant::now() + COLLECTED;
    let queues = loop {
        let Some(request) = request.try_clone() else {
            return untried("cannot be asked".to_owned());
        };
        match queues_of(request).await {
            Err(why) => return untried(why),
            Ok(queues) if own(&queues).all(is_collected) => break queues,
            Ok(_) if Instant::now() > until => {
                return untried("does not say which policies are in effect".to_owned());
            }
            Ok(_) => sleep(PAUSE).await,
        }
    };
    judged(&queues, config.consumer_timeout)
}

/// Returns the queues, or why they cannot be seen.
async fn queues_of(request: RequestBuilder) -> Result<Vec<Described>, String> {
    let answer = request.send().await;
    let answer = answer.map_err(|_| "does not answer".to_owned())?;
    match answer.status() {
        status if status.is_success() => {
            let queues = answer.json().await;
            queues.map_err(|_| "answers with something else".to_owned())
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            let why = "does not let the user of broker.url in, who has no tag such as monitoring";
            Err(why.to_owned())
        }
        status => Err(format!("answers {status}")),
    }
}

fn is_collected(queue: &Described) -> bool {
    !queue.effective_policy_definition.is_null()
}

/// Those of Seedbed.
fn own(queues: &[Described]) -> impl Iterator<Item = &Described> {
    queues
        .iter()
        .filter(|queue| queue.name.starts_with("seed."))
}

/// Says what the policies of these queues do.
fn judged(queues: &[Described], consumer_timeout: Duration) -> Checked<Policies> {
    let mut harms = Vec::new();
    let mut seen = 0;
    for queue in own(queues) {
        seen += 1;
        let Value::Object(definition) = &queue.effective_policy_definition else {
            continue;
        };
        let names = [&queue.policy, &queue.operator_policy];
        let names = names.into_iter().flatten().filter(|name| !name.is_empty());
        let names: Vec<&str> = names.map(String::as_str).collect();
        for harm in harms_of(&queue.name, definition, consumer_timeout) {
            harms.push(format!(
                "{}: the policy {} {harm}",
                queue.name,
                names.join(" and ")
            ));
        }
    }
    if harms.is_empty() {
        return Ok(Policies::Fine(format!(
            "no policy changes what the {seen} queues of Seedbed are declared with"
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

    fn told(queue: &str, policy: Value) -> Result<String, String> {
        let described = json!([{"name": queue, "policy": "p", "operator_policy": "", "effective_policy_definition": policy}]);
        let queues: Vec<Described> = serde_json::from_value(described).unwrap();
        match judged(&queues, Duration::from_secs(7_200)) {
            Ok(Policies::Fine(told) | Policies::Untried(told)) => Ok(told),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn a_policy_that_changes_a_limit_is_named_and_others_are_not() {
        for (queue, policy) in [
            ("seed.jobs", json!([])),
            (
                "seed.jobs",
                json!({"delivery-limit": 5, "queue-leader-locator": "balanced"}),
            ),
            ("seed.jobs", json!({"consumer-timeout": 7_200_000})),
            ("seed.workers", json!({"max-length": 10, "message-ttl": 5})),
            ("other", json!({"message-ttl": 5})),
        ] {
            told(queue, policy).unwrap();
        }
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
            let told = told(queue, json!({ key: value })).unwrap_err();
            assert!(
                told.contains(&format!("{queue}: the policy p sets {key} to {value}")),
                "{told}"
            );
        }
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
