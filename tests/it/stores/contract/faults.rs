//! Uploads that are aborted or fail leave no orphaned parts; faults and stalls of the object storage are retried.

use std::{
    io::Write,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use seedbed_protocol::{
    Attempt, JobId,
    manifest::{Encoding, RenditionKind},
    objects::PART_BYTES,
    snapshots::SnapshotName,
};

use super::place::{LARGE, Place, manifest, name, sha256};

pub(super) async fn an_abandoned_upload_leaves_nothing(place: Place) {
    let faults = &place.server.as_ref().unwrap().faults;
    faults.hold(held_parts(&place));
    let file = place.file(LARGE, 2);
    let (store, name) = (place.store.clone(), name("7"));
    let upload = tokio::spawn(async move {
        store
            .put(&name, RenditionKind::file(Encoding::Identity), &file)
            .await
    });
    faults.held(2).await;
    upload.abort();
    upload.await.unwrap_err();
    faults.release();
    place.store.settled().await;
    assert_eq!(place.keys().await, [""; 0]);
    assert_no_parts(&place);
}

/// The part of a request's address that only parts of uploads have.
fn held_parts(place: &Place) -> &'static str {
    if place.store.url().starts_with("az:") {
        "comp=block&"
    } else {
        "partNumber="
    }
}

/// No multipart upload is open: Azure drops uncommitted blocks by itself.
fn assert_no_parts(place: &Place) {
    let server = place.server.as_ref().unwrap();
    if !place.store.url().starts_with("az:") {
        assert!(server.faults.requests("DELETE") > 0);
    }
    if let Some(data) = &server.data {
        let names = std::fs::read_dir(data).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let parts: Vec<_> = names.filter(|name| name.starts_with(".upload")).collect();
        assert!(parts.is_empty(), "{parts:?}");
    }
}

pub(super) async fn a_failed_upload_leaves_nothing(place: Place) {
    // A directory cannot be read as a file, which shows only when it is.
    let unreadable = place.directory.path();
    let name = name("7");
    let put = place
        .store
        .put(&name, RenditionKind::file(Encoding::Gzip), unreadable)
        .await;
    let error = put.unwrap_err().to_string();
    assert!(error.contains("cannot read"), "{error}");
    assert_eq!(place.keys().await, [""; 0]);
}

pub(super) async fn faults_of_the_store_are_survived(place: Place) {
    let faults = &place.server.as_ref().unwrap().faults;
    // Not a divisor of how many requests one step takes.
    faults.fail_one_in(7);
    for round in 0..6 {
        let file = place.file(LARGE, round);
        let hash = sha256(&file);
        let mut manifest = manifest("7", JobId::new(), Attempt::FIRST);
        let name = SnapshotName::new(&manifest.store_id, manifest.job_id, manifest.attempt);
        let stored = place
            .store
            .put(&name, RenditionKind::file(Encoding::Identity), &file)
            .await;
        let stored = stored.unwrap();
        assert_eq!(stored.sha256, hash);
        manifest.renditions.push(stored.clone());
        let key = place.store.put_manifest(&name, &manifest).await.unwrap();
        assert_eq!(place.store.get_manifest(&key).await.unwrap(), manifest);
        let copy = place.directory.path().join("copy");
        let fetched = place.store.fetch(&stored.key, &copy).await.unwrap();
        assert_eq!(fetched.sha256, hash);
    }
    assert_eq!(place.keys().await.len(), 12);
    let failed = faults.failed();
    assert!(failed >= 6, "only {failed} requests failed");
    println!(
        "{}: {failed} requests failed, and nobody noticed",
        place.store.url()
    );
}

pub(super) async fn an_upload_that_cannot_go_on_stops_reading(place: Place) {
    const PARTS: usize = 20;
    const IN_MEMORY: u64 = 5 * PART_BYTES as u64;
    let faults = &place.server.as_ref().unwrap().faults;
    faults.hold(held_parts(&place));
    let pipe = place.directory.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let taken = Arc::new(AtomicU64::new(0));
    let (counter, writer) = (taken.clone(), pipe.clone());
    let writer = tokio::task::spawn_blocking(move || {
        let mut pipe = std::fs::File::options().write(true).open(writer).unwrap();
        for _ in 0..PARTS * 16 {
            pipe.write_all(&[7; PART_BYTES / 16]).unwrap();
            counter.fetch_add(PART_BYTES as u64 / 16, SeqCst);
        }
    });
    let (store, name) = (place.store.clone(), name("7"));
    let upload = tokio::spawn(async move {
        store
            .put(&name, RenditionKind::file(Encoding::Identity), &pipe)
            .await
    });
    faults.held(3).await;
    // Until it reads no further for a while.
    let mut before = u64::MAX;
    while before != taken.load(SeqCst) {
        before = taken.load(SeqCst);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(before <= IN_MEMORY, "{before} bytes are in memory");
    assert_eq!(faults.holds(), 3);
    faults.release();
    let stored = upload.await.unwrap().unwrap();
    writer.await.unwrap();
    assert_eq!(stored.bytes, (PARTS * PART_BYTES) as u64);
}
