//! Services that are nearly compatible with S3: what they lack is noticed once, and done without.

use axum::{
    extract::Request,
    http::{
        Method,
        header::{IF_MATCH, IF_NONE_MATCH},
    },
};
use bytes::Bytes;
use futures::{TryStreamExt, stream};
use seedbed_protocol::snapshots::SnapshotRepository;
use testkit::{objects::ObjectServer, program::Program, serving::prepared};

const NOT_IMPLEMENTED: &str = "<?xml version=\"1.0\"?><Error><Code>NotImplemented</Code><Message>A header you provided implies \
     functionality that is not implemented.</Message></Error>";
const MALFORMED: &str =
    "<Error><Code>MalformedXML</Code><Message>The XML is not well-formed.</Message></Error>";

fn is_conditional(request: &Request) -> bool {
    let headers = request.headers();
    request.method() == Method::PUT
        && (headers.contains_key(IF_MATCH) || headers.contains_key(IF_NONE_MATCH))
}

fn is_bulk_delete(request: &Request) -> bool {
    request.method() == Method::POST && request.uri().query() == Some("delete")
}

async fn keys(store: &SnapshotRepository) -> Vec<String> {
    let objects = store.list().map_ok(|object| object.key);
    let mut keys: Vec<_> = objects.try_collect().await.unwrap();
    keys.sort();
    keys
}

async fn put(store: &SnapshotRepository, names: &[&'static str]) {
    for name in names {
        let content = Bytes::from_static(name.as_bytes());
        store.create(name, "text/plain", content).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_conditional_writes_is_written_to_without_them() {
    for (status, body) in [(501, NOT_IMPLEMENTED), (405, ""), (501, "")] {
        let server = ObjectServer::s3().await;
        let store = server.open(&server.url, &server.variables).unwrap();
        server.faults.refuse(is_conditional, status, body);
        put(&store, &["a", "b", "c"]).await;
        let (first, version) = store.read_version("a").await.unwrap().unwrap();
        assert_eq!(first, "a");
        let content = Bytes::from_static(b"newer");
        let replaced = store.replace("a", "text/plain", content, Some(version));
        assert!(replaced.await.unwrap());
        assert_eq!(store.read("a").await.unwrap(), "newer");
        assert_eq!(server.faults.refused(), 1, "one refusal is enough");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_bulk_deletes_is_asked_for_each_object() {
    for (status, body) in [
        (501, NOT_IMPLEMENTED),
        (400, MALFORMED),
        (405, ""),
        (404, ""),
    ] {
        let server = ObjectServer::s3().await;
        let store = server.open(&server.url, &server.variables).unwrap();
        server.faults.refuse(is_bulk_delete, status, body);
        put(&store, &["a", "b", "c"]).await;
        for gone in [["a", "nothing"], ["b", "b"]] {
            let gone = gone.map(str::to_owned);
            store.delete(stream::iter(gone)).await.unwrap();
        }
        assert_eq!(keys(&store).await, ["c"], "{status}");
        assert_eq!(server.faults.refused(), 1, "one refusal is enough");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_delete_is_told_so_with_the_key() {
    let server = ObjectServer::s3().await;
    let store = server.open(&server.url, &server.variables).unwrap();
    put(&store, &["a"]).await;
    server.faults.refuse(
        |request| is_bulk_delete(request) || request.method() == Method::DELETE,
        403,
        "<Error><Code>AccessDenied</Code><Message>no</Message></Error>",
    );
    let keys = stream::iter(["a".to_owned()]);
    let error = store.delete(keys).await.unwrap_err().to_string();
    assert!(error.contains("may not delete \"a\""), "{error}");
    assert_eq!(server.faults.refused(), 1);
}

async fn checked(program: &Program) -> String {
    let parts = program.check(0).await;
    parts["snapshots"].1.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_lacks_is_said_by_check_with_the_setting() {
    let (_service, mut program) = prepared(&["1"], 3).await;
    program.set("DOWNLOAD__SECRET", "");
    program.set("SOURCE__URL", "file:stores.ndjson");
    let server = ObjectServer::s3().await;
    program.set("SNAPSHOTS__URL", &server.url);
    program.set_variables(server.variables.clone());
    let complete = checked(&program).await;
    assert!(
        complete.ends_with("written, read and deleted"),
        "{complete}"
    );
    server.faults.refuse(
        |r| is_conditional(r) || is_bulk_delete(r),
        501,
        NOT_IMPLEMENTED,
    );
    let lacking = checked(&program).await;
    assert!(
        lacking.contains("AWS_CONDITIONAL_PUT=disabled"),
        "{lacking}"
    );
    assert!(
        lacking.contains("AWS_DISABLE_BULK_DELETE=true"),
        "{lacking}"
    );
    let refused = server.faults.refused();
    program.set_variable("AWS_CONDITIONAL_PUT", "disabled");
    program.set_variable("AWS_DISABLE_BULK_DELETE", "true");
    checked(&program).await;
    assert_eq!(server.faults.refused(), refused, "nothing is tried in vain");
}
