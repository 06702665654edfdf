//! Sealed renditions: the libraries of both formats open them, and no other object of a store has its rows.

use std::path::{Path, PathBuf};

use seedbed_protocol::{
    digest::sha256_hex,
    manifest::{Encoding, Form, Manifest, Origin, RenditionKind},
    snapshots::SealingKeys,
};
use seedbed_worker::snapshot::sealed::unseal;
use serde_json::{Value, json};
use testkit::{
    collector::Collector,
    machine::tools,
    objects::ObjectServer,
    pipeline::{Pipeline, job, same_rows, starting_from},
    powersync::{Fault, PowerSync},
    program::Program,
    serving::{Answer, LOCAL_SERVE, Serving, client_token, prepared},
};
use tokio::process::Command;

const NOWHERE: [PathBuf; 0] = [];

const STORE: &str = "7";

const ROWS: u32 = 400;

/// In a row of the store, and nowhere else.
const TEXT: &str = "Unmistakable pickles 4711";

const SEALED: &str = "file/sqlcipher4,file/chacha20,compact/sqlcipher4,compact/chacha20";

const SEALING_KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// The same for the next key, in base64.
const NEXT_KEY: &str = "/+7dzLuqmYh3ZlVEMyIRAP/u3cy7qpmId2ZVRDMiEQA=";

fn plant(service: &PowerSync) {
    let row = service.rows(STORE).find(|row| &*row.table == "products");
    let row = row.unwrap();
    let mut json: Value = serde_json::from_str(&row.json).unwrap();
    json["id"] = row.id.into();
    json["name"] = TEXT.into();
    service.put("products", json);
}

/// Runs the library of a format on a sealed file.
async fn check_sealed(encoding: Encoding, sealed: &Path, key: &str, plain: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("sealed/check.py");
    let output = Command::new(tools("sealed/bin/python"))
        .arg(script)
        .arg(encoding.name())
        .args([sealed, Path::new(key), plain, Path::new(TEXT)])
        .kill_on_drop(true)
        .output();
    let output = output.await.expect("tests/run.sh installs it");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {error}", encoding.name());
}

fn kinds(names: &str) -> Vec<RenditionKind> {
    names.split(',').map(|name| name.parse().unwrap()).collect()
}

fn keys(text: &str) -> SealingKeys {
    serde_json::from_value(json!(text)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_library_of_each_format_opens_its_sealed_file_and_gives_it_a_key_of_the_device() {
    let service = PowerSync::builder().start().await.unwrap();
    service.add_generated_store(STORE, ROWS, 1);
    plant(&service);
    let mut pipeline = Pipeline::start_with(&service, |settings| {
        settings.snapshots.renditions = kinds("file/identity,file/chacha20,file/sqlcipher4");
        settings.snapshots.sealing_key = keys(SEALING_KEY);
    })
    .await;
    let manifest = pipeline.seed(STORE).await.unwrap();
    assert_eq!(manifest.sealed_key, None, "an event has no key");
    let plain = pipeline.file(&manifest);
    let key = pipeline.snapshots.key_of(manifest.all_renditions()).await;
    let key = key.unwrap().expose_hex();
    assert_eq!(manifest.sealed.len(), 2);
    for rendition in &manifest.sealed {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("sealed.sqlite");
        let fetching = pipeline.snapshots.fetch_rendition(rendition, &file);
        fetching.await.unwrap();
        check_sealed(rendition.encoding, &file, &key, &plain).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_starts_from_a_sealed_base_unless_its_key_is_gone() {
    let service = PowerSync::builder().start().await.unwrap();
    service.add_generated_store(STORE, ROWS, 1);
    let plain_job = || job(STORE, json!({ "store_id": STORE }), Vec::new());
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file:{}", directory.path().display());
    for encoding in ["sqlcipher4", "chacha20"] {
        let start = |sealing_key: &'static str| {
            let url = url.clone();
            Pipeline::start_with(&service, move |settings| {
                settings.snapshots.url = url;
                settings.snapshots.renditions = kinds(&format!("file/{encoding}"));
                settings.snapshots.sealed = true;
                settings.snapshots.sealing_key = keys(sealing_key);
            })
        };
        let mut pipeline = start(SEALING_KEY).await;
        let first = pipeline.seed(STORE).await.unwrap();
        plant(&service);
        let made = pipeline.run(starting_from(&first, plain_job())).await;
        let made = made.unwrap();
        assert!(
            matches!(made.origin, Origin::Base { .. }),
            "{:?}",
            made.origin
        );
        let opened = directory.path().join("opened.sqlite");
        open(&pipeline, &made, Form::File, &opened).await;
        same_rows(&service, STORE, &opened);
        // Without the key every row is downloaded: nobody has to do anything.
        let mut pipeline = start(NEXT_KEY).await;
        service.remove(
            "products",
            &service
                .rows(STORE)
                .find(|row| &*row.table == "products")
                .unwrap()
                .id,
        );
        let full = pipeline.run(starting_from(&made, plain_job())).await;
        let full = full.unwrap();
        assert!(
            matches!(full.origin, Origin::Full { .. }),
            "{:?}",
            full.origin
        );
    }
}

/// Opens the sealed rendition of this form at `target`.
async fn open(pipeline: &Pipeline, manifest: &Manifest, form: Form, target: &Path) {
    let rendition = manifest.sealed.iter().find(|r| r.form == form).unwrap();
    let key = pipeline.snapshots.key_of(manifest.all_renditions()).await;
    let fetching = pipeline.snapshots.fetch_rendition(rendition, target);
    fetching.await.unwrap();
    unseal(rendition.encoding, &key.unwrap(), target).unwrap();
}

/// Every file below a folder, and what is in it.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&entry.path())),
            false => found.push((entry.path(), std::fs::read(entry.path()).unwrap())),
        }
    }
    found
}

/// The files below a folder that hold one of these texts.
fn holding(folder: &Path, texts: &[&str]) -> Vec<PathBuf> {
    let holds = |content: &[u8], text: &str| {
        content
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    let found = files(folder).into_iter();
    let found = found.filter(|(_, content)| texts.iter().any(|text| holds(content, text)));
    found.map(|(path, _)| path).collect()
}

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
    let listed = program.run(&["snapshots"]).await;
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
        ask(&serving, query).await.json()["key"].clone()
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
