//! Azure Blob Storage: signatures for any name, clocks that differ, and accounts that cannot sign.

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use seedbed_protocol::{objects::StorageError, snapshots::SnapshotRepository};
use std::time::Duration;
use testkit::{
    objects::{ObjectServer, PRIVATE, azurite_sas},
    serving::prepared,
};

/// Asks for a URL, and returns why none can be signed.
async fn cannot_sign(store: &SnapshotRepository) -> StorageError {
    let signed = store.sign("key", Duration::from_secs(60)).await;
    let error = signed.unwrap_err();
    assert!(
        matches!(error, StorageError::CannotSign { .. }),
        "{error:?}"
    );
    error
}

/// Signs URLs of blobs with odd names below odd prefixes, and downloads by them.
async fn signs_any_name(server: &ObjectServer) {
    for prefix in [
        "",
        "/some/prefix",
        "/our snapshots/Zürich & Söhne",
        "/a+b%20c/店",
    ] {
        let url = format!("az://{PRIVATE}{prefix}");
        let store = server.open(&url, &server.variables).unwrap();
        for key in ["7/file.sqlite", "a b%2F..&<i>/x+y.json"] {
            let content = Bytes::from_static(b"content");
            store.create(key, "text/plain", content).await.unwrap();
            let signed = store.sign(key, Duration::from_secs(60)).await;
            let signed = signed.unwrap().unwrap();
            let value = |wanted: &str| {
                let mut pairs = signed.query_pairs();
                pairs
                    .find(|(name, _)| name == wanted)
                    .map(|(_, value)| value)
            };
            for starts in [value("st"), value("skt")].into_iter().flatten() {
                let starts = DateTime::parse_from_rfc3339(&starts).unwrap().to_utc();
                assert!(Utc::now() - starts >= TimeDelta::minutes(5), "{signed}");
            }
            let answer = reqwest::get(signed.clone()).await.unwrap();
            assert_eq!(answer.status(), 200, "{signed}");
            assert_eq!(answer.text().await.unwrap(), "content");
            let mut forged = signed.clone();
            forged.set_query(Some(&signed.query().unwrap().replace("sp=r", "sp=rw")));
            let refused = reqwest::get(forged).await.unwrap().status();
            assert_eq!(refused, 403, "the signature is checked");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_url_works_for_any_prefix_and_has_begun_minutes_ago() {
    signs_any_name(&ObjectServer::azurite().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_signs_too_with_a_key_that_is_asked_for_once() {
    let server = ObjectServer::azurite_for_an_identity().await;
    signs_any_name(&server).await;
    let asked = || server.faults.requests("comp=userdelegationkey");
    let before = asked();
    let store = server.open(&server.url, &server.variables).unwrap();
    for _ in 0..5 {
        let lifetime = Duration::from_secs(900);
        store.sign("key", lifetime).await.unwrap().unwrap();
    }
    assert_eq!(asked(), before + 1);
    server.faults.refuse(
        |request| {
            request
                .uri()
                .query()
                .is_some_and(|query| query.contains("userdelegationkey"))
        },
        403,
        "<Error><Code>AuthorizationPermissionMismatch</Code><Message>no</Message></Error>",
    );
    let other = server.open(&server.url, &server.variables).unwrap();
    let error = cannot_sign(&other).await;
    assert!(
        error.to_string().contains("Storage Blob Delegator"),
        "{error}"
    );
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
    let error = cannot_sign(&store).await;
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
