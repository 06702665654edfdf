//! Uploads that object storage refuses: the error says what to do next, and no secret.

use seedbed_protocol::objects::StorageError;
use testkit::objects::ObjectServer;

const WRONG: &str = "d3JvbmctaHVudGVyMi13cm9uZw==";

/// Checks `url` with these variables, and returns why it cannot be used.
async fn refused(
    server: &ObjectServer,
    url: &str,
    variables: &[(String, String)],
) -> (StorageError, String) {
    let store = server.open(url, variables).unwrap();
    let error = store.write_check_object().await.unwrap_err();
    assert!(!error.is_transient(), "{error}");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(WRONG), "{shown}");
    for (name, value) in variables {
        let is_secret = name.contains("KEY") && !name.contains("ACCESS_KEY_ID");
        assert!(!is_secret || !shown.contains(value), "{shown}");
    }
    let text = error.to_string();
    assert!(text.contains(url), "{text}");
    (error, text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_bucket_is_named() {
    for (server, url) in [
        (ObjectServer::s3().await, "s3://nothing/prefix"),
        (ObjectServer::azurite().await, "az://nothing/prefix"),
        (ObjectServer::gcs().await, "gs://nothing/prefix"),
    ] {
        let (error, text) = refused(&server, url, &server.variables).await;
        assert!(matches!(error, StorageError::NoBucket { .. }), "{error:?}");
        assert!(text.contains("create it"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_names_the_variable_to_set() {
    for (server, variable) in [
        (ObjectServer::s3().await, "AWS_SECRET_ACCESS_KEY"),
        (ObjectServer::s3().await, "AWS_ACCESS_KEY_ID"),
        (ObjectServer::azurite().await, "AZURE_STORAGE_ACCOUNT_KEY"),
    ] {
        let variables = server.variables_with(variable, WRONG);
        let (error, text) = refused(&server, &server.url, &variables).await;
        assert!(
            matches!(error, StorageError::Credentials { .. }),
            "{error:?}"
        );
        assert!(text.contains(variable), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_read_is_told_what_to_allow() {
    let server = ObjectServer::s3().await;
    let reader = server.reader.clone().unwrap();
    let (error, text) = refused(&server, &server.url, &reader).await;
    assert!(matches!(error, StorageError::Denied { .. }), "{error:?}");
    assert!(text.contains("may not write"), "{text}");
    assert!(text.contains("allow these credentials"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_answer_may_answer_later() {
    let server = ObjectServer::s3().await;
    let endpoint = "http://127.0.0.1:1";
    let variables = server.variables_with("AWS_ENDPOINT_URL", endpoint);
    let store = server.open(&server.url, &variables).unwrap();
    let error = store.write_check_object().await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(error.to_string().contains(endpoint), "{error}");
}
