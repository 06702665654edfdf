//! Which form a client is offered, and what the answer says of it.

use rusqlite::Connection;
use seedbed_protocol::{manifest::Encoding, objects::unwrap_to};
use seedbed_worker::{oplog, snapshot::forms::finish};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use testkit::{
    pipeline::same_rows,
    serving::{Answer, Serving, client_token},
};

use super::support::{seeded, serve, service_and_program, url_of};

async fn ask(serving: &Serving, query: &str) -> Answer {
    let token = client_token(json!({"store_id": "1"}));
    let path = format!("/database?store_id=1{query}");
    serving.get(&path, Some(&token)).await
}

fn kind(answer: &Answer) -> (Value, Value) {
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = answer.json();
    (answer["form"].clone(), answer["encoding"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compact_file_is_what_its_answer_says_and_has_all_rows_once_it_is_finished() {
    let (service, program, serving) = seeded().await;
    let answer = ask(
        &serving,
        "&form=compact&encoding=zstd,gzip&core=0.5.3/8f2a4bc1",
    )
    .await;
    assert_eq!(kind(&answer), (json!("compact"), json!("gzip")));
    let database = answer.json();
    assert_eq!(
        (&database["storeId"], &database["finish"]),
        (&json!("1"), &json!(1))
    );
    let endpoint = database["serviceEndpoint"].as_str().unwrap();
    assert!(endpoint.starts_with("http://"), "{endpoint}");

    let object = serving.get(&url_of(&answer), None).await;
    // Told of an encoding, iOS and browsers would unpack it, and the hash of what is stored would fail.
    assert_eq!(object.header("content-encoding"), "");
    assert_eq!(object.header("content-type"), "application/gzip");
    let sha256 = |bytes: &[u8]| json!(format!("{:x}", Sha256::digest(bytes)));
    assert_eq!(database["bytes"], json!(object.body.len()));
    assert_eq!(database["sha256"], sha256(&object.body));
    program.write("object", &object.body);
    let file = program.path("compact.sqlite");
    let unwrapped = unwrap_to(Encoding::Gzip, &program.path("object"), &file).await;
    unwrapped.unwrap();
    let unpacked = std::fs::read(&file).unwrap();
    assert_eq!(database["unpackedBytes"], json!(unpacked.len()));
    assert_eq!(database["unpackedSha256"], sha256(&unpacked));

    // Who forgets to finish it is told so.
    let unfinished = Connection::open(&file).unwrap();
    let error = unfinished.prepare("SELECT * FROM ps_oplog").unwrap_err();
    assert!(
        error.to_string().contains("no such table: ps_oplog"),
        "{error}"
    );
    drop(unfinished);
    let connection = oplog::open(&file).unwrap();
    oplog::initialize(&connection).unwrap();
    let schema = json!({"tables": [{"name": "products", "columns": []}]}).to_string();
    let replace = "SELECT powersync_replace_schema(?1)";
    let replaced = connection.query_row(replace, [&schema], |_| Ok(()));
    replaced.unwrap();
    finish(&connection, &schema).unwrap();
    drop(connection);
    same_rows(&service, "1", &file);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_never_given_for_another_and_what_is_unknown_is_refused() {
    let (_service, _program, serving) = seeded().await;
    let file = (json!("file"), json!("identity"));
    for query in [
        "",
        "&encoding=identity",
        "&form=file",
        "&form=file&encoding=zstd,gzip,identity",
        "&form=file&core=9.9.9",
    ] {
        let answer = ask(&serving, query).await;
        assert_eq!(kind(&answer), file, "{query}");
        let answer = answer.json();
        assert_eq!(answer["finish"], Value::Null);
        assert_eq!(answer["unpackedBytes"], answer["bytes"]);
        assert_eq!(answer["unpackedSha256"], answer["sha256"]);
    }
    let compact = (json!("compact"), json!("gzip"));
    for query in [
        "&form=compact",
        "&form=compact&encoding=identity,gzip&core=0.4.14",
    ] {
        assert_eq!(kind(&ask(&serving, query).await), compact, "{query}");
    }
    for (query, refusal) in [
        // The snapshot has the gzip of a compact file.
        ("&encoding=gzip", (404, "no_such_encoding")),
        ("&form=file&encoding=gzip,zstd", (404, "no_such_encoding")),
        ("&form=compact&encoding=zstd", (404, "no_such_encoding")),
        ("&form=compact&core=0.3.9", (404, "no_such_form")),
        ("&form=compact&core=", (400, "invalid_request")),
        ("&form=stream", (400, "invalid_request")),
        ("&form=zip", (400, "invalid_request")),
        ("&encoding=brotli", (400, "invalid_request")),
        ("&encoding=gzip,brotli", (400, "invalid_request")),
        ("&encoding=", (400, "invalid_request")),
        ("&forms=compact", (400, "invalid_request")),
    ] {
        let (status, error) = ask(&serving, query).await.refusal();
        assert_eq!((status, error.as_str()), refusal, "{query}");
    }
}

/// The JSON of an answer, and what follows it.
fn opened(answer: &Answer) -> (Value, &[u8]) {
    assert_eq!(
        answer.header("content-type"),
        "application/vnd.seedbed.database"
    );
    assert_eq!(answer.header("cache-control"), "no-store");
    let end = answer.body.iter().position(|&byte| byte == b'\n').unwrap();
    let json = serde_json::from_slice(&answer.body[..end]).unwrap();
    (json, &answer.body[end + 1..])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_snapshot_comes_with_the_answer_to_who_takes_as_much() {
    let (_service, _program, serving) = seeded().await;
    let compact = "&form=compact&encoding=gzip";
    let plain = ask(&serving, compact).await.json();
    let bytes = plain["bytes"].as_u64().unwrap();
    let inline = ask(&serving, &format!("{compact}&inline={bytes}")).await;
    let (database, content) = opened(&inline);
    let described = ["storeId", "form", "encoding", "bytes", "sha256", "finish"];
    assert!(described.iter().all(|key| database[key] == plain[key]));
    assert_eq!(content.len() as u64, bytes);
    assert_eq!(
        database["sha256"],
        json!(format!("{:x}", Sha256::digest(content)))
    );
    // What has broken off goes on from there.
    let url = database["databaseUrl"].as_str().unwrap();
    assert_eq!(serving.get(url, None).await.body, content);

    for too_few in ["", "&inline=0", &format!("&inline={}", bytes - 1)] {
        let answer = ask(&serving, &format!("{compact}{too_few}")).await;
        assert_eq!(answer.header("content-type"), "application/json");
    }
    for wrong in ["&inline=", "&inline=-1", "&inline=many"] {
        let (status, error) = ask(&serving, wrong).await.refusal();
        assert_eq!((status, &*error), (400, "invalid_request"), "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_larger_than_the_setting_or_cannot_be_read_is_not_sent_along() {
    let (_service, mut program) = service_and_program().await;
    program.set("DOWNLOAD__INLINE_KIB", "8");
    let serving = serve(&program).await;
    let small = ask(&serving, "&form=compact&encoding=gzip&inline=9999999").await;
    assert!(opened(&small).1.len() <= 8 * 1024);
    let large = ask(&serving, "&inline=9999999").await;
    assert!(large.json()["bytes"].as_u64().unwrap() > 8 * 1024);
    assert_eq!(large.header("content-type"), "application/json");

    let store = program.path("seedbed-data/snapshots/1");
    for object in std::fs::read_dir(store).unwrap() {
        let object = object.unwrap().path();
        if object.to_string_lossy().ends_with(".compact.sqlite.gz") {
            std::fs::remove_file(object).unwrap();
        }
    }
    let gone = ask(&serving, "&form=compact&encoding=gzip&inline=9999999").await;
    assert_eq!(gone.header("content-type"), "application/json");
    assert_eq!(
        gone.status, 200,
        "its URL says that it is gone, as for any client"
    );
}
