//! The contract of snapshot stores, on each kind: a directory, S3, Azure Blob Storage, Google Cloud Storage.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use chrono::Utc;
use futures::{TryStreamExt, stream};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use seedbed_protocol::{
    Attempt, JobId, RunId, StoreId,
    message::{Checkpoint, Download, Encoding, Manifest, Origin},
    snapshots::{PART_BYTES, SnapshotName, SnapshotPart, SnapshotStore, SnapshotsConfig, unwrap},
};
use serde_json::json;
use tempfile::TempDir;
use testkit::objects::ObjectServer;
use tokio::io::{AsyncReadExt, BufReader};

use super::{
    faults::{
        a_failed_upload_leaves_nothing, an_abandoned_upload_leaves_nothing,
        an_upload_that_cannot_go_on_stops_reading, faults_of_the_store_are_survived,
    },
    latest::{
        jobs_that_finish_together_leave_the_newest_as_latest,
        the_latest_copy_is_never_replaced_by_an_older_job,
    },
};

/// Three whole parts and a bit.
pub(super) const LARGE: usize = 3 * PART_BYTES + 4711;

/// A snapshot store and what a test needs around it.
pub(super) struct Place {
    pub(super) store: SnapshotStore,
    pub(super) server: Option<ObjectServer>,
    pub(super) directory: TempDir,
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
    pub(super) fn file(&self, bytes: usize, seed: u64) -> PathBuf {
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

    pub(super) async fn keys(&self) -> Vec<String> {
        let objects = self.store.list().map_ok(|object| object.key);
        let mut keys: Vec<String> = objects.try_collect().await.unwrap();
        keys.sort();
        keys
    }

    /// The object as it is stored.
    pub(super) async fn content(&self, key: &str) -> Vec<u8> {
        let file = self.directory.path().join("fetched");
        self.store.fetch(key, &file).await.unwrap();
        std::fs::read(file).unwrap()
    }

    /// Puts a snapshot of `content` with these renditions.
    pub(super) async fn snapshot(
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

pub(super) fn manifest(store: &str, job_id: JobId, attempt: Attempt) -> Manifest {
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
        selection_fingerprint: String::new(),
        origin: Origin::default(),
        checkpoint: Checkpoint::default(),
        tables: Vec::new(),
        renditions: Vec::new(),
        download: Download::default(),
        steps: Vec::new(),
        trace_id: None,
    }
}

pub(super) fn name(store: &str) -> SnapshotName {
    SnapshotName::new(&StoreId::new(store).unwrap(), JobId::new(), Attempt::FIRST)
}

/// What another program than ours computes.
pub(super) fn sha256(file: &Path) -> String {
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

/// Reads a signed URL until the store refuses it.
async fn a_signed_url_reads_its_object_until_it_expires(place: Place) {
    let name = name("a b%&ünï");
    let file = place.file(10_000, 3);
    let stored = place
        .store
        .put(&name, Encoding::Identity, &file)
        .await
        .unwrap();
    let Some(server) = &place.server else {
        let none = place.store.sign(&stored.key, Duration::from_secs(1)).await;
        assert_eq!(none.unwrap(), None, "files have no URL");
        return;
    };
    // For Google, a service account has to sign; the emulator takes any.
    let pem = include_str!("../../../testkit/keys/rs256.private.pem");
    let account = json!({
        "private_key": pem,
        "private_key_id": "test",
        "client_email": "seedbed@example.com",
        "disable_oauth": false,
    });
    let variables = server.variables_with("GOOGLE_SERVICE_ACCOUNT_KEY", &account.to_string());
    let store = server.open(&server.url, &variables).unwrap();
    let sign = async |seconds| {
        let signed = store.sign(&stored.key, Duration::from_secs(seconds)).await;
        signed.unwrap().expect("a bucket signs")
    };
    let answer = reqwest::get(sign(60).await).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.bytes().await.unwrap(), std::fs::read(&file).unwrap());
    // The other servers let anybody read, whatever the URL says.
    if !server.url.starts_with("s3:") {
        return;
    }
    let url = sign(1).await;
    while reqwest::get(url.clone()).await.unwrap().status() != 403 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
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
    a_signed_url_reads_its_object_until_it_expires,
    the_latest_copy_is_never_replaced_by_an_older_job,
    a_failed_upload_leaves_nothing,
);

on!(in_s3: Place::on(ObjectServer::s3().await) =>
    a_large_file_comes_back_as_it_was_stored,
    each_rendition_unwraps_to_the_file_and_says_what_it_is,
    a_manifest_comes_back_and_is_never_replaced,
    deleting_a_job_spares_the_others,
    a_signed_url_reads_its_object_until_it_expires,
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
    a_signed_url_reads_its_object_until_it_expires,
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
    a_signed_url_reads_its_object_until_it_expires,
    the_latest_copy_is_never_replaced_by_an_older_job,
    jobs_that_finish_together_leave_the_newest_as_latest,
    an_abandoned_upload_leaves_nothing,
    faults_of_the_store_are_survived,
);
