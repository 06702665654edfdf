//! Azure Blob Storage: signatures for any name, clocks that differ, and accounts that cannot sign.

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use seedbed_protocol::objects::StorageError;
use std::time::Duration;
use testkit::{
    objects::{ObjectServer, azurite_sas},
    serving::prepared,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_url_works_for_any_prefix_and_has_begun_minutes_ago() {
    let server = ObjectServer::azurite().await;
    for prefix in [
        "",
        "/some/prefix",
        "/our snapshots/Zürich & Söhne",
        "/a+b%20c/店",
    ] {
        let url = format!("az://snapshots{prefix}");
        let store = server.open(&url, &server.variables).unwrap();
        for key in ["7/file.sqlite", "a b%2F..&<i>/x+y.json"] {
            let content = Bytes::from_static(b"content");
            store.create(key, "text/plain", content).await.unwrap();
            let signed = store
                .sign(key, Duration::from_secs(60))
                .await
                .unwrap()
                .unwrap();
            let starts = signed
                .query_pairs()
                .find(|(name, _)| name == "st")
                .unwrap()
                .1;
            let starts = DateTime::parse_from_rfc3339(&starts).unwrap().to_utc();
            assert!(Utc::now() - starts >= TimeDelta::minutes(5), "{signed}");
            let answer = reqwest::get(signed.clone()).await.unwrap();
            assert_eq!(answer.status(), 200, "{signed}");
            assert_eq!(answer.text().await.unwrap(), "content");
            let unsigned = server.public_url("nothing");
            assert_ne!(unsigned, signed.as_str());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_with_a_sas_only_is_told_that_it_cannot_sign() {
    let server = ObjectServer::azurite().await;
    let mut variables = server.variables.clone();
    variables.retain(|(name, _)| name != "AZURE_STORAGE_ACCOUNT_KEY");
    variables.push(("AZURE_STORAGE_SAS_TOKEN".to_owned(), azurite_sas()));
    let store = server.open(&server.url, &variables).unwrap();
    // Azurite does not delete with a SAS.
    store.write_check_object().await.unwrap();
    let error = store
        .sign("key", Duration::from_secs(60))
        .await
        .unwrap_err();
    assert!(
        matches!(error, StorageError::CannotSign { .. }),
        "{error:?}"
    );
    assert!(!error.is_transient());

    let (_service, mut program) = prepared(&["1"], 3).await;
    program.set("SOURCE__URL", "file:stores.ndjson");
    program.set("SNAPSHOTS__URL", &server.url);
    program.set_variables(variables);
    let parts = program.check(1).await;
    let (ok, said) = &parts["downloads"];
    assert!(!ok && said.contains("AZURE_STORAGE_ACCOUNT_KEY"), "{said}");
    let mut serving = program.start(&["local", "--serve"]);
    serving
        .until("the start says it too", |process| {
            process.error().contains("no snapshot can be handed out")
        })
        .await;
}
