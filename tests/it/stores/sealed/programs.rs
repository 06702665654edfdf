//! Sealed snapshots and the programs: who has the key, how it is rotated, what is refused.

use std::path::PathBuf;

use seedbed_protocol::{digest::sha256_hex, manifest::Encoding};
use seedbed_worker::snapshot::sealed::unseal;
use serde_json::json;
use testkit::{
    collector::Collector,
    objects::ObjectServer,
    pipeline::same_rows,
    powersync::{Fault, PowerSync},
    program::Program,
    serving::{Answer, LOCAL_SERVE, Serving, client_token, prepared},
};

use super::support::{
    NEXT_KEY, ROWS, SEALING_KEY, STORE, TEXT, check_sealed, files, holding, plant,
};

const NOWHERE: [PathBuf; 0] = [];

const SEALED: &str = "file/sqlcipher4,file/chacha20,compact/sqlcipher4,compact/chacha20";

/// A program that seals all that it stores in a bucket, and what it serves.
async fn sealed_program(server: &ObjectServer) -> (PowerSync, Program) {
    let (service, mut program) = prepared(&[STORE], ROWS).await;
    plant(&service);
    program.set("SNAPSHOTS__URL", &server.url);
    program.set("SNAPSHOTS__RENDITIONS", SEALED);
    program.set("SNAPSHOTS__SEALED", "true");
    program.set("SNAPSHOTS__LATEST", "true");
    program.set("SNAPSHOTS__SEALING_KEY", SEALING_KEY);
    program.set("VERIFY__FORMS_EVERY", "1");
    program.set("LOG__LEVEL", "debug");
    program.set_variables(server.variables.clone());
    (service, program)
}

async fn ask(serving: &Serving, query: &str) -> Answer {
    let token = client_token(json!({ "store_id": STORE }));
    serving
        .get(&format!("/database?store_id={STORE}{query}"), Some(&token))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_the_answer_has_the_key_and_no_object_has_a_row() {
    let server = ObjectServer::s3().await;
    let collector = Collector::start().await;
    let (service, mut program) = sealed_program(&server).await;
    program.set_variable("OTEL_EXPORTER_OTLP_ENDPOINT", collector.http_endpoint());
    program.set_variable("OTEL_BSP_SCHEDULE_DELAY", "50");
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    let database = |answer: Answer| {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("cache-control"), "no-store");
        answer.json()
    };
    testkit::wait::until("the store is seeded", async || {
        ask(&serving, "&encoding=chacha20").await.status == 200
    })
    .await;
    let mut secrets = vec![SEALING_KEY.to_owned()];
    for (form, encoding) in [
        ("file", Encoding::Sqlcipher4),
        ("file", Encoding::Chacha20),
        ("compact", Encoding::Sqlcipher4),
        ("compact", Encoding::Chacha20),
    ] {
        let name = encoding.name();
        let answer = database(ask(&serving, &format!("&form={form}&encoding=zstd,{name}")).await);
        assert_eq!(
            (&answer["form"], &answer["encoding"]),
            (&json!(form), &json!(name))
        );
        let key = answer["key"].as_str().unwrap();
        secrets.push(key.to_owned());
        let url = answer["databaseUrl"].as_str().unwrap();
        assert!(!url.contains(key));
        let object = serving.get(url, None).await;
        assert_eq!(object.header("content-encoding"), "");
        assert_eq!(object.header("content-type"), "application/octet-stream");
        assert_eq!(answer["sha256"], sha256_hex(&object.body));
        assert_eq!(answer["unpackedSha256"], answer["sha256"]);

        let directory = tempfile::tempdir().unwrap();
        let (sealed, plain) = (
            directory.path().join("sealed"),
            directory.path().join("plain"),
        );
        std::fs::write(&sealed, &object.body).unwrap();
        std::fs::write(&plain, &object.body).unwrap();
        unseal(encoding, &key.parse().unwrap(), &plain).unwrap();
        check_sealed(encoding, &sealed, key, &plain).await;
        if form == "file" {
            same_rows(&service, STORE, &plain);
        }
    }
    // Clients that know nothing of it get nothing that they would take for a database.
    for query in ["", "&encoding=identity,gzip", "&form=compact&encoding=zstd"] {
        let refusal = ask(&serving, query).await.refusal();
        assert_eq!(refusal, (404, "no_such_encoding".to_owned()), "{query}");
    }
    let shown = serving.admin("/api/snapshots").await;
    let metrics = serving.admin("/metrics").await;
    let verified = program.run(&["verify", STORE, "--json"]).await;
    assert_eq!(verified.code, Some(0), "{verified}");
    assert_eq!(verified.output.matches(".sqlite.").count(), 4, "{verified}");
    let listed = program.run(&["snapshots", "--json"]).await;
    assert!(listed.output.contains(".sqlite.sqlcipher4"), "{listed}");
    let settings = program.run(&["config"]).await;
    let ended = serving.process.stop().await;
    collector
        .wait_for("the job's spans have come", |collector| {
            collector.has_text("file/chacha20")
        })
        .await;

    let bucket = server.data.clone().unwrap();
    assert!(
        files(&bucket).len() >= 10,
        "five objects, and latest/ of each"
    );
    assert_eq!(holding(&bucket, &[TEXT]), NOWHERE);
    let secrets: Vec<_> = secrets.iter().map(String::as_str).collect();
    for folder in [&bucket, &program.path(".")] {
        assert_eq!(holding(folder, &secrets), NOWHERE);
    }
    // The wrapped key is in the manifest alone.
    let wrapped = holding(&bucket, &["sealed_key"]);
    assert!(
        wrapped.len() == 2 && wrapped.iter().all(|f| f.extension().unwrap() == "json"),
        "{wrapped:?}"
    );
    assert_eq!(holding(&program.path("."), &["sealed_key", TEXT]), NOWHERE);
    let said = [
        &ended.output,
        &ended.error,
        &verified.output,
        &verified.error,
        &settings.output,
        &settings.error,
        &String::from_utf8_lossy(&shown.body).into_owned(),
        &String::from_utf8_lossy(&metrics.body).into_owned(),
    ];
    for secret in secrets {
        assert!(!collector.has_text(secret));
        assert!(said.iter().all(|text| !text.contains(secret)), "{said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealing_key_is_rotated_and_a_catalog_is_rebuilt_without_any_key() {
    let server = ObjectServer::s3().await;
    let (service, mut program) = sealed_program(&server).await;
    let seed = ["local", "--stores", "stores.ndjson"];
    let seeded = program.run(&seed).await;
    assert_eq!(seeded.code, Some(0), "{seeded}");
    let query = "&encoding=sqlcipher4";

    program.set("CATALOG__URL", "sqlite:rebuilt.db");
    let rebuilt = program.run(&["rebuild-catalog", "--json"]).await;
    let added = json!({"added": 1, "known": 0, "damaged": 0});
    assert_eq!(rebuilt.objects(), [added]);
    assert_eq!(holding(&program.path("."), &["sealed_key"]), NOWHERE);
    program.set(
        "SNAPSHOTS__SEALING_KEY",
        format!("{NEXT_KEY}, {SEALING_KEY}"),
    );
    let old = {
        let serving = Serving::start(&program, &LOCAL_SERVE).await;
        let key = ask(&serving, query).await.json()["key"].clone();
        // The catalog is free again only when the process has ended.
        serving.process.kill().await;
        key
    };
    assert_eq!(old.as_str().unwrap().len(), 64);

    // The next snapshot has the first key of the list.
    remove_one(&service);
    let seeded = program.run(&seed).await;
    assert_eq!(seeded.code, Some(0), "{seeded}");
    program.set("SNAPSHOTS__SEALING_KEY", NEXT_KEY);
    let verified = program.run(&["verify", STORE]).await;
    assert_eq!(verified.code, Some(0), "{verified}");

    // Without that key it cannot be opened, until the store is seeded again.
    program.set("SNAPSHOTS__SEALING_KEY", SEALING_KEY);
    let verified = program.run(&["verify", STORE]).await;
    assert_eq!(verified.code, Some(2), "{verified}");
    let lacks = "snapshots.sealing_key lacks the key";
    assert!(verified.error.contains(lacks), "{verified}");
    let refused = Fault::Error {
        status: 400,
        code: "PSYNC_S2305",
    };
    service.faults().always_for(STORE, refused);
    {
        let serving = Serving::start(&program, &LOCAL_SERVE).await;
        let refusal = ask(&serving, query).await.refusal();
        assert_eq!(refusal, (500, "failed".to_owned()));
        assert!(serving.process.error().contains(lacks));
        serving.process.kill().await;
    }
    service.faults().clear();
    let seeded = program.run(&seed).await;
    assert_eq!(seeded.code, Some(0), "{seeded}");
    let verified = program.run(&["verify", STORE]).await;
    assert_eq!(verified.code, Some(0), "{verified}");
}

fn remove_one(service: &PowerSync) {
    let row = service.rows(STORE).find(|row| &*row.table == "products");
    assert!(service.remove("products", &row.unwrap().id));
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_would_store_plain_rows_or_have_no_key_are_refused() {
    let (_service, mut program) = prepared(&[STORE], 1).await;
    program.set("SNAPSHOTS__SEALED", "true");
    for (renditions, key, named) in [
        (None, Some(SEALING_KEY), "snapshots.renditions"),
        (
            Some("file/chacha20,stream/zstd"),
            Some(SEALING_KEY),
            "snapshots.renditions",
        ),
        (
            Some("stream/chacha20,file/chacha20"),
            Some(SEALING_KEY),
            "snapshots.renditions",
        ),
        (Some("file/chacha20"), None, "snapshots.sealing_key"),
        (Some("file/chacha20"), Some(""), "snapshots.sealing_key"),
        (Some("file/chacha20"), Some("0123"), "snapshots.sealing_key"),
        (
            Some("file/chacha20"),
            Some(&SEALING_KEY.replace('f', "g")),
            "snapshots.sealing_key",
        ),
        (
            Some("file/chacha20"),
            Some(&format!("{SEALING_KEY},{}", &SEALING_KEY[1..])),
            "snapshots.sealing_key",
        ),
    ] {
        for (setting, value) in [
            ("SNAPSHOTS__RENDITIONS", renditions),
            ("SNAPSHOTS__SEALING_KEY", key),
        ] {
            program.unset(setting);
            if let Some(value) = value {
                program.set(setting, value);
            }
        }
        let refused = program.run(&LOCAL_SERVE[..3]).await;
        assert_eq!(refused.code, Some(2), "{renditions:?} {key:?}: {refused}");
        assert!(
            refused.error.contains(named),
            "{renditions:?} {key:?}: {refused}"
        );
        let shows = key.is_some_and(|key| !key.is_empty() && refused.error.contains(key));
        assert!(!shows, "{refused}");
    }
}
