//! Sealed renditions: the libraries of both formats open them, and nothing else of a store is in the bucket.

use std::path::Path;

use seedbed_protocol::manifest::{Encoding, Form, Manifest, RenditionKind};
use serde_json::json;
use testkit::{machine::tools, pipeline::Pipeline, powersync::PowerSync};
use tokio::process::Command;

const ROWS: u32 = 400;

const SEALING_KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn kind(form: Form, encoding: Encoding) -> RenditionKind {
    RenditionKind { form, encoding }
}

const BOTH: [Encoding; 2] = [Encoding::Sqlcipher4, Encoding::Chacha20];

/// Runs the library of a format on a sealed file.
async fn check_sealed(encoding: Encoding, sealed: &Path, key: &str, plain: &Path, text: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("sealed/check.py");
    let output = Command::new(tools("sealed/bin/python"))
        .arg(script)
        .arg(encoding.name())
        .args([sealed, Path::new(key), plain, Path::new(text)])
        .kill_on_drop(true)
        .output();
    let output = output.await.expect("tests/run.sh installs it");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {error}", encoding.name());
}

/// A store that is seeded with these renditions, and the plain file.
async fn seeded(kinds: Vec<RenditionKind>) -> (Pipeline, Manifest) {
    let service = PowerSync::builder().start().await.unwrap();
    service.add_generated_store("7", ROWS, 1);
    let mut pipeline = Pipeline::start_with(&service, |settings| {
        settings.snapshots.renditions = kinds;
        settings.snapshots.sealing_key = serde_json::from_value(json!(SEALING_KEY)).unwrap();
    })
    .await;
    let manifest = pipeline.seed("7").await.unwrap();
    (pipeline, manifest)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_library_of_each_format_opens_its_sealed_file_and_gives_it_a_key_of_the_device() {
    let sealed = BOTH.map(|encoding| kind(Form::File, encoding));
    let kinds = [vec![kind(Form::File, Encoding::Identity)], sealed.to_vec()].concat();
    let (pipeline, manifest) = seeded(kinds).await;
    let plain = pipeline.file(&manifest);
    let key = pipeline.snapshots.key_of(manifest.all_renditions()).await;
    let key = key.unwrap().expose_hex();
    let text = oplog_text(&plain);
    assert_eq!(manifest.sealed.len(), 2);
    for rendition in &manifest.sealed {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("sealed.sqlite");
        let fetching = pipeline.snapshots.fetch_rendition(rendition, &file);
        fetching.await.unwrap();
        check_sealed(rendition.encoding, &file, &key, &plain, &text).await;
    }
}

/// A text that is in a row of the file.
fn oplog_text(file: &Path) -> String {
    let connection = rusqlite::Connection::open(file).unwrap();
    let data = "SELECT data FROM ps_oplog WHERE data IS NOT NULL LIMIT 1";
    connection.query_row(data, [], |row| row.get(0)).unwrap()
}
