//! Files and manifests: stored, found, deleted, and read by signed URLs.

use std::time::Duration;

use chrono::Utc;
use futures::{TryStreamExt, stream};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use seedbed_protocol::{
    Attempt, JobId, RunId, StoreId,
    manifest::{Encoding, Manifest, RenditionKind},
    objects::unwrap,
    snapshots::{SnapshotName, SnapshotPart},
};
use serde_json::json;
use testkit::wait;
use tokio::io::{AsyncReadExt, BufReader};

use super::place::{LARGE, Place, manifest, name, sha256};

pub(super) async fn a_large_file_comes_back_as_it_was_stored(place: Place) {
    let file = place.file(LARGE, 1);
    let (original, hash) = (std::fs::read(&file).unwrap(), sha256(&file));
    let name = name("7");
    let stored = place
        .store
        .put(&name, RenditionKind::file(Encoding::Identity), &file)
        .await;
    let stored = stored.unwrap();
    assert_eq!(
        stored.key,
        name.key(SnapshotPart::Rendition(RenditionKind::file(
            Encoding::Identity
        )))
    );
    assert_eq!((stored.bytes, &stored.sha256), (LARGE as u64, &hash));

    let copy = place.directory.path().join("copy");
    let fetched = place.store.fetch(&stored.key, &copy).await.unwrap();
    assert_eq!((fetched.bytes, &fetched.sha256), (LARGE as u64, &hash));
    assert!(std::fs::read(copy).unwrap() == original);

    let listed: Vec<_> = place.store.list().try_collect().await.unwrap();
    let [object] = &listed[..] else {
        panic!("{listed:?}")
    };
    let part = SnapshotPart::Rendition(RenditionKind::file(Encoding::Identity));
    assert_eq!(object.snapshot, Some((name, part)));
    assert_eq!((&object.key, object.bytes), (&stored.key, LARGE as u64));
    let age = Utc::now() - object.last_modified;
    assert!(age.num_minutes().abs() < 5, "{age}");
    let head = place.store.head(&stored.key).await.unwrap();
    assert_eq!(head.as_ref().map(|o| &o.key), Some(&stored.key));
    assert_eq!(place.store.head("7/nothing").await.unwrap(), None);
    let object = place.store.write_check_object().await.unwrap();
    place.store.remove_check_object(&object).await.unwrap();
    assert_eq!(place.keys().await, [stored.key]);
}

pub(super) async fn each_rendition_unwraps_to_the_file_and_says_what_it_is(place: Place) {
    let name = name("7");
    let text = "a line that compresses well\n".repeat(200_000);
    // Only a file says by Content-Encoding how it is wrapped: what other forms are is the client's to unwrap.
    for (kind, media_type, header) in [
        ("file/gzip", "application/vnd.sqlite3", Some("gzip")),
        ("file/zstd", "application/vnd.sqlite3", Some("zstd")),
        ("file/identity", "application/vnd.sqlite3", None),
        ("compact/gzip", "application/gzip", None),
        ("compact/zstd", "application/zstd", None),
        ("compact/identity", "application/vnd.sqlite3", None),
    ] {
        let kind: RenditionKind = kind.parse().unwrap();
        let encoding = kind.encoding;
        let file = place.directory.path().join("text");
        std::fs::write(&file, &text).unwrap();
        let stored = place.store.put(&name, kind, &file).await.unwrap();
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
        assert_eq!(of(CONTENT_TYPE).as_deref(), Some(media_type));
        assert_eq!(of(CONTENT_ENCODING).as_deref(), header);
        let body = answer.bytes().await.unwrap();
        assert!(body == std::fs::read(&copy).unwrap());
    }
}

pub(super) async fn a_manifest_comes_back_and_is_never_replaced(place: Place) {
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

pub(super) async fn deleting_a_job_spares_the_others(place: Place) {
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
pub(super) async fn a_signed_url_reads_its_object_until_it_expires(place: Place) {
    let name = name("a b%&ünï");
    let file = place.file(10_000, 3);
    let stored = place
        .store
        .put(&name, RenditionKind::file(Encoding::Identity), &file)
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
    // The other servers serve any URL, expired or not.
    if !server.url.starts_with("s3:") {
        return;
    }
    let url = sign(1).await;
    wait::until("it expires", async || {
        reqwest::get(url.clone()).await.unwrap().status() == 403
    })
    .await;
}
