//! The contract of snapshot stores, on each kind: a directory, S3, Azure Blob Storage, Google Cloud Storage.

mod refusals;
mod worker;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use chrono::Utc;
use futures::{TryStreamExt, stream};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use seedbed_protocol::{
    Attempt, JobId, RunId, StoreId,
    message::{Checkpoint, Download, Encoding, Manifest},
    snapshots::{
        PART_BYTES, SnapshotName, SnapshotPart, SnapshotStore, SnapshotsConfig, latest_key, unwrap,
    },
};
use tempfile::TempDir;
use testkit::objects::ObjectServer;
use tokio::io::{AsyncReadExt, BufReader};

/// Three whole parts and a bit.
const LARGE: usize = 3 * PART_BYTES + 4711;

/// A snapshot store and what a test needs around it.
struct Place {
    store: SnapshotStore,
    server: Option<ObjectServer>,
    directory: TempDir,
}

impl Place {
    fn directory() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = SnapshotsConfig {
            url: format!("file:{}", directory.path().join("snapshots").display()),
            renditions: vec![Encoding::Identity],
            latest: false,
        };
        Self {
            store: SnapshotStore::open(&config).unwrap(),
            server: None,
            directory,
        }
    }

    fn on(server: ObjectServer) -> Self {
        Self {
            store: server.open(&server.url, &server.variables).unwrap(),
            server: Some(server),
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// A file of `bytes` that no compression and no mixed-up parts leave alike.
    fn file(&self, bytes: usize, seed: u64) -> PathBuf {
        let mut state = seed | 1;
        let mut content = Vec::with_capacity(bytes + 8);
        while content.len() < bytes {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            content.extend_from_slice(&state.to_le_bytes());
        }
        content.truncate(bytes);
        let path = self.directory.path().join(format!("file-{seed}"));
        std::fs::write(&path, content).unwrap();
        path
    }

    async fn keys(&self) -> Vec<String> {
        let objects = self.store.list().map_ok(|object| object.key);
        let mut keys: Vec<String> = objects.try_collect().await.unwrap();
        keys.sort();
        keys
    }

    /// The object as it is stored.
    async fn content(&self, key: &str) -> Vec<u8> {
        let file = self.directory.path().join("fetched");
        self.store.fetch(key, &file).await.unwrap();
        std::fs::read(file).unwrap()
    }

    /// Puts a snapshot of `content` with these renditions.
    async fn snapshot(
        &self,
        store: &str,
        job_id: JobId,
        attempt: Attempt,
        renditions: &[Encoding],
        content: &str,
    ) -> Manifest {
        let mut manifest = manifest(store, job_id, attempt);
        let name = SnapshotName::new(&manifest.store_id, job_id, attempt);
        for &encoding in renditions {
            let file = self.directory.path().join("content");
            std::fs::write(&file, content).unwrap();
            let rendition = self.store.put(&name, encoding, &file).await.unwrap();
            manifest.renditions.push(rendition);
        }
        self.store.put_manifest(&name, &manifest).await.unwrap();
        manifest
    }
}

fn manifest(store: &str, job_id: JobId, attempt: Attempt) -> Manifest {
    Manifest {
        run_id: RunId::new(),
        job_id,
        store_id: StoreId::new(store).unwrap(),
        attempt,
        created_at: Utc::now(),
        powersync_endpoint: "http://powersync".to_owned(),
        core_version: "0.4.14".to_owned(),
        internal_schema_version: 12,
        schema_fingerprint: String::new(),
        checkpoint: Checkpoint::default(),
        tables: Vec::new(),
        renditions: Vec::new(),
        download: Download::default(),
        steps: Vec::new(),
        trace_id: None,
    }
}

fn name(store: &str) -> SnapshotName {
    SnapshotName::new(&StoreId::new(store).unwrap(), JobId::new(), Attempt::FIRST)
}

/// What another program than ours computes.
fn sha256(file: &Path) -> String {
    let output = Command::new("sha256sum").arg(file).output().unwrap();
    String::from_utf8(output.stdout).unwrap()[..64].to_owned()
}

async fn a_large_file_comes_back_as_it_was_stored(place: Place) {
    let file = place.file(LARGE, 1);
    let (original, hash) = (std::fs::read(&file).unwrap(), sha256(&file));
    let name = name("7");
    let stored = place.store.put(&name, Encoding::Identity, &file).await;
    let stored = stored.unwrap();
    assert_eq!(stored.key, name.key(SnapshotPart::File(Encoding::Identity)));
    assert_eq!((stored.bytes, &stored.sha256), (LARGE as u64, &hash));

    let copy = place.directory.path().join("copy");
    let fetched = place.store.fetch(&stored.key, &copy).await.unwrap();
    assert_eq!((fetched.bytes, &fetched.sha256), (LARGE as u64, &hash));
    assert!(std::fs::read(copy).unwrap() == original);

    let listed: Vec<_> = place.store.list().try_collect().await.unwrap();
    let [object] = &listed[..] else {
        panic!("{listed:?}")
    };
    let part = SnapshotPart::File(Encoding::Identity);
    assert_eq!(object.snapshot, Some((name, part)));
    assert_eq!((&object.key, object.bytes), (&stored.key, LARGE as u64));
    let age = Utc::now() - object.last_modified;
    assert!(age.num_minutes().abs() < 5, "{age}");
    let head = place.store.head(&stored.key).await.unwrap();
    assert_eq!(head.as_ref().map(|o| &o.key), Some(&stored.key));
    assert_eq!(place.store.head("7/nothing").await.unwrap(), None);
    place.store.check().await.unwrap();
    assert_eq!(place.keys().await, [stored.key]);
}

async fn each_rendition_unwraps_to_the_file_and_says_what_it_is(place: Place) {
    let name = name("7");
    let text = "a line that compresses well\n".repeat(200_000);
    for (encoding, header) in [
        (Encoding::Gzip, Some("gzip")),
        (Encoding::Zstd, Some("zstd")),
        (Encoding::Identity, None),
    ] {
        let file = place.directory.path().join("text");
        std::fs::write(&file, &text).unwrap();
        let stored = place.store.put(&name, encoding, &file).await.unwrap();
        let copy = place.directory.path().join("copy");
        let fetched = place.store.fetch(&stored.key, &copy).await.unwrap();
        assert_eq!(
            (fetched.bytes, &fetched.sha256),
            (stored.bytes, &stored.sha256)
        );
        assert_eq!(stored.sha256, sha256(&copy));
        let is_smaller = stored.bytes < text.len() as u64 / 10;
        assert_eq!(is_smaller, encoding != Encoding::Identity);
        let object = BufReader::new(tokio::fs::File::open(&copy).await.unwrap());
        let mut unwrapped = String::new();
        let mut content = unwrap(encoding, object);
        content.read_to_string(&mut unwrapped).await.unwrap();
        assert!(unwrapped == text);

        let Some(server) = &place.server else {
            continue;
        };
        let answer = reqwest::get(server.public_url(&stored.key)).await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
        let of = |header| {
            let value = answer.headers().get(header);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(of(CONTENT_TYPE).as_deref(), Some("application/vnd.sqlite3"));
        assert_eq!(of(CONTENT_ENCODING).as_deref(), header);
        let body = answer.bytes().await.unwrap();
        assert!(body == std::fs::read(&copy).unwrap());
    }
}

async fn a_manifest_comes_back_and_is_never_replaced(place: Place) {
    let (job, attempt) = (JobId::new(), Attempt::FIRST);
    let first = manifest("7", job, attempt);
    let name = SnapshotName::new(&first.store_id, job, attempt);
    let key = place.store.put_manifest(&name, &first).await.unwrap();
    assert_eq!(place.store.get_manifest(&key).await.unwrap(), first);
    // Again, as after an answer that was lost.
    place.store.put_manifest(&name, &first).await.unwrap();
    let other = Manifest {
        run_id: RunId::new(),
        ..first.clone()
    };
    place.store.put_manifest(&name, &other).await.unwrap_err();
    assert_eq!(place.store.get_manifest(&key).await.unwrap(), first);
    // Another delivery of the same attempt has objects of its own.
    let void = SnapshotName::new(&first.store_id, job, attempt);
    place.store.put_manifest(&void, &other).await.unwrap();
    assert_eq!(place.keys().await.len(), 2);
}

async fn deleting_a_job_spares_the_others(place: Place) {
    let (gone, kept) = (JobId::new(), JobId::new());
    let second = Attempt::FIRST.next();
    let both = [Encoding::Gzip, Encoding::Identity];
    place.snapshot("7", gone, Attempt::FIRST, &both, "a").await;
    place.snapshot("7", gone, second, &both, "b").await;
    place.snapshot("77", gone, second, &[], "b").await;
    let kept = place.snapshot("7", kept, second, &both, "c").await;
    assert_eq!(place.keys().await.len(), 10);
    let store = StoreId::new("7").unwrap();
    place.store.delete_job(&store, gone).await.unwrap();
    let left = place.keys().await;
    assert_eq!(left.len(), 4, "{left:?}");
    for rendition in &kept.renditions {
        assert!(left.contains(&rendition.key));
    }
    // What is not there is fine.
    let keys = left.into_iter().chain(["7/nothing".to_owned()]);
    let keys: Vec<_> = keys.collect();
    place.store.delete(stream::iter(keys)).await.unwrap();
    assert_eq!(place.keys().await.len(), 0);
    place.store.delete_job(&store, gone).await.unwrap();
}

async fn the_latest_copy_is_never_replaced_by_an_older_job(place: Place) {
    let store = StoreId::new("A shop").unwrap();
    let key = |part| latest_key(&store, part);
    let plain = key(SnapshotPart::File(Encoding::Identity));
    let gzip = key(SnapshotPart::File(Encoding::Gzip));
    let (older, newer) = (JobId::new(), JobId::new());
    let both = [Encoding::Gzip, Encoding::Identity];
    let snapshot = async |job, attempt, renditions: &[Encoding], content| {
        let made = place.snapshot("A shop", job, attempt, renditions, content);
        made.await
    };
    let first = snapshot(older, Attempt::FIRST, &both, "first").await;
    place.store.put_latest(&first).await.unwrap();
    assert_eq!(place.content(&plain).await, b"first");
    assert!(place.keys().await.contains(&gzip));

    let identity = [Encoding::Identity];
    let second = snapshot(newer, Attempt::FIRST, &identity, "second").await;
    place.store.put_latest(&second).await.unwrap();
    // The older job comes late, with a later try even; nothing changes.
    let late = snapshot(older, Attempt::FIRST.next(), &both, "late").await;
    place.store.put_latest(&late).await.unwrap();
    let latest = place.store.get_manifest(&key(SnapshotPart::Manifest)).await;
    assert_eq!(latest.unwrap(), second);
    assert_eq!(place.content(&plain).await, b"second");
    assert!(
        !place.keys().await.contains(&gzip),
        "it is of the older job"
    );
    // The copies are no snapshots of their own.
    let objects: Vec<_> = place.store.list().try_collect().await.unwrap();
    let copies = objects.iter().filter(|object| object.snapshot.is_none());
    assert_eq!(copies.count(), 2);
}

async fn jobs_that_finish_together_leave_the_newest_as_latest(place: Place) {
    let mut snapshots = Vec::new();
    for number in 0..4 {
        let content = format!("content {number}");
        let made = place.snapshot(
            "7",
            JobId::new(),
            Attempt::FIRST,
            &[Encoding::Identity],
            &content,
        );
        snapshots.push(made.await);
    }
    let all = snapshots
        .iter()
        .map(|manifest| place.store.put_latest(manifest));
    futures::future::try_join_all(all).await.unwrap();
    let store = StoreId::new("7").unwrap();
    let latest = latest_key(&store, SnapshotPart::Manifest);
    let latest = place.store.get_manifest(&latest).await.unwrap();
    assert_eq!(latest.job_id, snapshots[3].job_id);
    let plain = latest_key(&store, SnapshotPart::File(Encoding::Identity));
    assert_eq!(place.content(&plain).await, b"content 3");
}

async fn an_abandoned_upload_leaves_nothing(place: Place) {
    let faults = &place.server.as_ref().unwrap().faults;
    faults.hold(held_parts(&place));
    let file = place.file(LARGE, 2);
    let (store, name) = (place.store.clone(), name("7"));
    let upload = tokio::spawn(async move { store.put(&name, Encoding::Identity, &file).await });
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

async fn a_failed_upload_leaves_nothing(place: Place) {
    // A directory cannot be read as a file, which shows only when it is.
    let unreadable = place.directory.path();
    let name = name("7");
    let put = place.store.put(&name, Encoding::Gzip, unreadable).await;
    let error = put.unwrap_err().to_string();
    assert!(error.contains("cannot read"), "{error}");
    assert_eq!(place.keys().await, [""; 0]);
}

async fn faults_of_the_store_are_survived(place: Place) {
    let faults = &place.server.as_ref().unwrap().faults;
    // Not a divisor of how many requests one step takes.
    faults.fail_one_in(7);
    for round in 0..6 {
        let file = place.file(LARGE, round);
        let hash = sha256(&file);
        let mut manifest = manifest("7", JobId::new(), Attempt::FIRST);
        let name = SnapshotName::new(&manifest.store_id, manifest.job_id, manifest.attempt);
        let stored = place.store.put(&name, Encoding::Identity, &file).await;
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

async fn an_upload_that_cannot_go_on_stops_reading(place: Place) {
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
    let upload = tokio::spawn(async move { store.put(&name, Encoding::Identity, &pipe).await });
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

macro_rules! on {
    ($kind:ident: $place:expr => $($test:ident),+ $(,)?) => {
        mod $kind {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $test() {
                    super::$test($place).await;
                }
            )+
        }
    };
}

on!(in_a_directory: Place::directory() =>
    a_large_file_comes_back_as_it_was_stored,
    each_rendition_unwraps_to_the_file_and_says_what_it_is,
    a_manifest_comes_back_and_is_never_replaced,
    deleting_a_job_spares_the_others,
    the_latest_copy_is_never_replaced_by_an_older_job,
    a_failed_upload_leaves_nothing,
);

on!(in_s3: Place::on(ObjectServer::s3().await) =>
    a_large_file_comes_back_as_it_was_stored,
    each_rendition_unwraps_to_the_file_and_says_what_it_is,
    a_manifest_comes_back_and_is_never_replaced,
    deleting_a_job_spares_the_others,
    the_latest_copy_is_never_replaced_by_an_older_job,
    jobs_that_finish_together_leave_the_newest_as_latest,
    an_abandoned_upload_leaves_nothing,
    a_failed_upload_leaves_nothing,
    faults_of_the_store_are_survived,
    an_upload_that_cannot_go_on_stops_reading,
);

on!(in_azure: Place::on(ObjectServer::azurite().await) =>
    a_large_file_comes_back_as_it_was_stored,
    each_rendition_unwraps_to_the_file_and_says_what_it_is,
    a_manifest_comes_back_and_is_never_replaced,
    deleting_a_job_spares_the_others,
    the_latest_copy_is_never_replaced_by_an_older_job,
    jobs_that_finish_together_leave_the_newest_as_latest,
    an_abandoned_upload_leaves_nothing,
    faults_of_the_store_are_survived,
);

on!(in_google: Place::on(ObjectServer::gcs().await) =>
    a_large_file_comes_back_as_it_was_stored,
    each_rendition_unwraps_to_the_file_and_says_what_it_is,
    a_manifest_comes_back_and_is_never_replaced,
    deleting_a_job_spares_the_others,
    the_latest_copy_is_never_replaced_by_an_older_job,
    jobs_that_finish_together_leave_the_newest_as_latest,
    an_abandoned_upload_leaves_nothing,
    faults_of_the_store_are_survived,
);
