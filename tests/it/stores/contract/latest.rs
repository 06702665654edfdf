//! The copies below `latest/`.

use futures::TryStreamExt;
use seedbed_protocol::{
    Attempt, JobId, StoreId,
    manifest::{Encoding, RenditionKind},
    snapshots::{SnapshotPart, latest_key},
};

use super::place::Place;

pub(super) async fn the_latest_copy_is_never_replaced_by_an_older_job(place: Place) {
    let store = StoreId::new("A shop").unwrap();
    let key = |part| latest_key(&store, part);
    let plain = key(SnapshotPart::Rendition(RenditionKind::file(
        Encoding::Identity,
    )));
    let gzip = key(SnapshotPart::Rendition(RenditionKind::file(Encoding::Gzip)));
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
    // In a directory, a copy is a second name of the file, and leaves no third.
    if let Some(latest) = place.store.local_path("latest") {
        let names = std::fs::read_dir(latest).unwrap();
        let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
    }
    // The copies are no snapshots of their own.
    let objects: Vec<_> = place.store.list().try_collect().await.unwrap();
    let copies = objects.iter().filter(|object| object.snapshot.is_none());
    assert_eq!(copies.count(), 2);
}

pub(super) async fn jobs_that_finish_together_leave_the_newest_as_latest(place: Place) {
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
    let plain = latest_key(
        &store,
        SnapshotPart::Rendition(RenditionKind::file(Encoding::Identity)),
    );
    assert_eq!(place.content(&plain).await, b"content 3");
}
