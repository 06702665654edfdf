//! Sealed files and the worker: what opens them, and jobs that start from them.

use std::path::Path;

use seedbed_protocol::{
    manifest::{Form, Manifest, Origin, RenditionKind},
    snapshots::SealingKeys,
};
use seedbed_worker::snapshot::sealed::unseal;
use serde_json::json;
use testkit::{
    pipeline::{Pipeline, job, same_rows, starting_from},
    powersync::PowerSync,
};

use super::support::{NEXT_KEY, ROWS, SEALING_KEY, STORE, check_sealed, plant};

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
