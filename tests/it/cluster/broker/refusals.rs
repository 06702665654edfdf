//! Connections that do not come about, each with an error that says why and what to do.

use std::time::Duration;

use lapin::{options::QueueDeclareOptions, types::FieldTable};
use seedbed_protocol::broker::{BrokerConfig, BrokerError, connect};
use testkit::servers::{Authority, Certificate, RabbitMq};
use tokio::time::timeout;

use super::support::{SOON, config, other_program};

/// What a start that is refused says; waits for no retry.
async fn refusal(config: &BrokerConfig) -> BrokerError {
    let refused = timeout(Duration::from_secs(60), connect(config)).await;
    let refused = refused.expect("a refusal is final");
    let error = refused.err().expect("RabbitMQ refuses");
    assert!(!error.is_transient(), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_refused_at_once_and_not_shown() {
    let rabbitmq = RabbitMq::shared();
    let error = refusal(&config(&rabbitmq.url_with("guest:hunter2", "%2F"))).await;
    assert!(matches!(error, BrokerError::Refused { .. }), "{error}");
    assert!(
        error.to_string().contains("password in broker.url"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_virtual_host_is_named() {
    let rabbitmq = RabbitMq::shared();
    let error = refusal(&config(&rabbitmq.url_with("guest:guest", "nowhere"))).await;
    assert!(matches!(error, BrokerError::Refused { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("nowhere") && text.contains("add_vhost"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_virtual_host_without_permission_is_named() {
    let rabbitmq = RabbitMq::shared();
    rabbitmq.add_vhost("private");
    let error = refusal(&config(&rabbitmq.url_with("guest:guest", "private"))).await;
    let text = error.to_string();
    assert!(
        text.contains("private") && text.contains("set_permissions"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_not_declare_queues_is_told_which() {
    let rabbitmq = RabbitMq::shared();
    rabbitmq.add_vhost("read-only");
    rabbitmq.add_user("reader", "hunter2");
    rabbitmq.ctl(&["set_permissions", "-p", "read-only", "reader", "", "", ".*"]);
    let error = refusal(&config(&rabbitmq.url_with("reader:hunter2", "read-only"))).await;
    assert!(matches!(error, BrokerError::Topology { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("seed.dead") && text.contains("set_permissions"),
        "{text}"
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_given_up_after_a_while() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .unwrap()
        .port();
    let mut config = config(&format!("amqp://me:hunter2@127.0.0.1:{port}"));
    config.connect_timeout = Duration::from_secs(1);
    let refused = timeout(SOON, connect(&config)).await.unwrap();
    let error = refused.err().expect("nobody listens there");
    assert!(matches!(error, BrokerError::Unreachable { .. }), "{error}");
    assert!(error.is_transient());
    let text = error.to_string();
    assert!(
        text.contains(&port.to_string()) && !text.contains("hunter2"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_with_other_arguments_is_named_with_the_argument_and_the_way_out() {
    let rabbitmq = RabbitMq::shared();
    let url = rabbitmq.vhost();
    let (_connection, channel) = other_program(&url).await;
    channel
        .queue_declare(
            "seed.jobs".into(),
            QueueDeclareOptions::durable(),
            FieldTable::default(),
        )
        .await
        .unwrap();
    let error = refusal(&config(&url)).await;
    assert!(matches!(error, BrokerError::Topology { .. }), "{error}");
    let text = error.to_string();
    for part in [
        "seed.jobs",
        "x-",
        "delete_queue seed.jobs",
        "new virtual host",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn a_file_of_authorities_that_is_missing_is_named() {
    let mut config = config("amqps://localhost");
    config.ca_file = Some("nowhere.pem".into());
    let error = refusal(&config).await.to_string();
    assert!(error.starts_with("broker.ca_file"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_trusts_the_file_of_authorities_and_nobody_else() {
    let files = tempfile::tempdir().unwrap();
    let authority = Authority::new(&files, "ours");
    let stranger = Authority::new(&files, "theirs");
    let (certificate, key) = authority.sign_localhost();
    let rabbitmq = RabbitMq::start_with_tls(&Certificate {
        certificate: certificate.as_ref(),
        key: key.as_ref(),
    });
    let mut config = config(&rabbitmq.tls_url());
    config.ca_file = Some(authority.file("pem").into());
    let broker = connect(&config).await.unwrap();
    assert!(broker.is_connected());
    broker.close().await;

    for wrong in [Some(stranger.file("pem").into()), None] {
        config.ca_file = wrong;
        let error = refusal(&config).await;
        assert!(matches!(error, BrokerError::Refused { .. }), "{error}");
        assert!(error.to_string().contains("broker.ca_file"), "{error}");
    }
}
