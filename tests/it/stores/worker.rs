//! A whole job of the worker, and the whole program, with a bucket at the end.

use std::path::Path;

use seedbed_protocol::{
    manifest::{Encoding, RenditionKind},
    message::FailureKind,
    objects::unwrap,
    snapshots::{SnapshotPart, latest_key},
};
use seedbed_worker::snapshot::verify::verify_file;
use testkit::{objects::ObjectServer, pipeline::Pipeline, powersync::PowerSync, program::Program};
use tokio::io::BufReader;

const ROWS: u32 = 300;

async fn pipeline(service: &PowerSync, server: &ObjectServer, url: &str) -> Pipeline {
    service.add_generated_store("7", ROWS, 1);
    let snapshots = server.open(url, &server.variables).unwrap();
    let encodings = [Encoding::Zstd, Encoding::Identity, Encoding::Gzip];
    let renditions = encodings.map(RenditionKind::file).to_vec();
    Pipeline::start_in(service, snapshots, |settings| {
        settings.snapshots.renditions = renditions;
        settings.snapshots.latest = true;
    })
    .await
}

async fn unwrapped(encoding: Encoding, object: &Path, file: &Path) {
    let object = BufReader::new(tokio::fs::File::open(object).await.unwrap());
    let mut file = tokio::fs::File::create(file).await.unwrap();
    let mut content = unwrap(encoding, object);
    tokio::io::copy(&mut content, &mut file).await.unwrap();
    file.sync_all().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rendition_of_a_snapshot_in_a_bucket_verifies() {
    let server = ObjectServer::s3().await;
    let service = PowerSync::builder().start().await.unwrap();
    let mut pipeline = pipeline(&service, &server, &server.url).await;
    let manifest = pipeline.seed("7").await.unwrap();
    let encodings: Vec<_> = manifest.renditions.iter().map(|r| r.encoding).collect();
    assert_eq!(
        encodings,
        [Encoding::Identity, Encoding::Zstd, Encoding::Gzip]
    );
    let directory = tempfile::tempdir().unwrap();
    let (object, file) = (
        directory.path().join("object"),
        directory.path().join("file"),
    );
    for rendition in &manifest.renditions {
        let fetched = pipeline.snapshots.fetch(&rendition.key, &object).await;
        let fetched = fetched.unwrap();
        assert_eq!(
            (fetched.bytes, &fetched.sha256),
            (rendition.bytes, &rendition.sha256)
        );
        unwrapped(rendition.encoding, &object, &file).await;
        let verified = verify_file(&file).unwrap();
        let rows: u64 = verified.tables.iter().map(|table| table.rows).sum();
        assert_eq!(rows, u64::from(ROWS));
    }
    let latest = latest_key(&manifest.store_id, SnapshotPart::Manifest);
    let latest = pipeline.snapshots.get_manifest(&latest).await.unwrap();
    assert_eq!(latest, manifest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_without_a_bucket_fails_for_good_and_says_why() {
    let server = ObjectServer::s3().await;
    let service = PowerSync::builder().start().await.unwrap();
    let mut pipeline = pipeline(&service, &server, "s3://nothing").await;
    let failure = pipeline.seed("7").await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Permanent);
    assert_eq!(failure.step, "upload");
    assert!(
        failure.message.contains("s3://nothing"),
        "{}",
        failure.message
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_seeds_lists_and_verifies_snapshots_in_a_bucket() {
    let server = ObjectServer::s3().await;
    let service = PowerSync::builder().start().await.unwrap();
    service.add_generated_store("7", ROWS, 1);
    let mut program = Program::new(&service);
    program.set("SNAPSHOTS__URL", &server.url);
    program.set("SNAPSHOTS__RENDITIONS", "identity,zstd,gzip");
    program.set_variables(server.variables.clone());
    program.write("stores.csv", "store_id\n7\n");
    let checked = program.run(&["check", "--stores", "stores.csv"]).await;
    assert_eq!(checked.code, Some(0), "{checked}");
    let seeded = program.run(&["local", "--stores", "stores.csv"]).await;
    assert_eq!(seeded.code, Some(0), "{seeded}");
    // With room for the URLs.
    program.set_variable("COLUMNS", "400");
    let listed = program.run(&["snapshots"]).await;
    assert!(listed.output.contains(&server.url), "{listed}");

    let verified = program.run(&["verify", "7", "--json"]).await;
    assert_eq!(verified.code, Some(0), "{verified}");
    for extension in [".sqlite\"", ".sqlite.zst\"", ".sqlite.gz\""] {
        assert!(verified.output.contains(extension), "{verified}");
    }
    // Damage one object after the other: the hash finds it in every encoding.
    let bucket = server.data.clone().unwrap().join("snapshots/some/prefix/7");
    for extension in ["sqlite", "zst", "gz"] {
        let mut files = std::fs::read_dir(&bucket)
            .unwrap()
            .map(|e| e.unwrap().path());
        let file = files.find(|file| file.extension().is_some_and(|e| e == extension));
        let file = file.unwrap();
        let whole = std::fs::read(&file).unwrap();
        std::fs::write(&file, &whole[..whole.len() - 1]).unwrap();
        let damaged = program.run(&["verify", "7"]).await;
        assert_eq!(damaged.code, Some(1), "{damaged}");
        assert!(damaged.error.contains("its manifest says"), "{damaged}");
        std::fs::write(&file, whole).unwrap();
    }
    let mut files = std::fs::read_dir(&bucket).unwrap();
    let manifest = files.find_map(|file| {
        let file = file.unwrap().path();
        file.extension()
            .is_some_and(|e| e == "json")
            .then_some(file)
    });
    let manifest = manifest.unwrap();
    let whole = std::fs::read_to_string(&manifest).unwrap();
    assert!(whole.contains("\"sha256\": \""), "{whole}");
    for (content, problem) in [
        ("{".to_owned(), "is no manifest"),
        (
            whole.replacen("\"sha256\": \"", "\"sha256\": \"0", 1),
            "is not what was uploaded",
        ),
    ] {
        std::fs::write(&manifest, content).unwrap();
        let damaged = program.run(&["verify", "7"]).await;
        assert_eq!(damaged.code, Some(1), "{damaged}");
        assert!(damaged.error.contains(problem), "{damaged}");
    }
    std::fs::remove_file(&manifest).unwrap();
    let lost = program.run(&["verify", "7"]).await;
    assert_eq!(lost.code, Some(1), "{lost}");
    assert!(lost.error.contains("is not there"), "{lost}");
}
