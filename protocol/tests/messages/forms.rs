//! Forms other than the file, and digests of what objects hold: they came later than the layout of messages.

use seedbed_protocol::{
    broker::Message, digest::Hashed, manifest::*, message::*, telemetry::trace::TraceContext,
};
use serde_json::{Value, json};

use crate::fixtures::*;

#[test]
fn forms_and_digests_travel_as_a_header_that_older_readers_ignore() {
    let mut whole = manifest();
    with_forms(&mut whole);
    let completed = |manifest: &Manifest| {
        event(EventKind::Completed {
            manifest: Box::new(manifest.clone()),
        })
    };
    // The body is the one that version 2 always was.
    let message = Message::event(&completed(&whole), TraceContext::default()).unwrap();
    assert_eq!(message.body, golden("v2-event-completed", &[]));
    assert_eq!(message.decode(), Ok(completed(&whole)));
    let job = |manifest: &Manifest| SeedJob {
        start: Start::Base(Box::new(manifest.clone().into())),
        ..job()
    };
    let message = Message::job(&job(&whole), TraceContext::default()).unwrap();
    assert_eq!(message.body, golden("v2-job", &[]));
    assert_eq!(message.decode(), Ok(job(&whole)));
    // One of an older program has none of it.
    let bare = Message::job(&job(&manifest()), TraceContext::default()).unwrap();
    assert_eq!(bare.decode(), Ok(job(&manifest())));
}

#[test]
fn times_of_steps_and_waits_travel_as_headers_that_older_readers_ignore() {
    let steps = manifest().steps;
    for (name, mut event) in events() {
        event.steps.clone_from(&steps);
        let message = Message::event(&event, TraceContext::default()).unwrap();
        assert_eq!(message.body, golden(&format!("v2-event-{name}"), &[]));
        assert_eq!(message.decode(), Ok(event), "{name}");
    }
    let waiting = Heartbeat {
        waiting: 2,
        ..heartbeat()
    };
    let message = Message::heartbeat(&waiting).unwrap();
    assert_eq!(message.body, golden("v2-heartbeat", &[]));
    assert_eq!(message.decode(), Ok(waiting));
    // Of an older worker.
    let bare = Message::heartbeat(&heartbeat()).unwrap();
    assert_eq!(bare.decode(), Ok(heartbeat()));
}

/// Adds what a manifest has since there are other forms than the file.
fn with_forms(manifest: &mut Manifest) {
    let unpacked = |digits: &str| Hashed {
        bytes: 1_234_567,
        sha256: digits.repeat(32),
    };
    let file = &mut manifest.renditions[0];
    file.unpacked = Some(unpacked("cd"));
    manifest.forms = vec![Rendition {
        form: Form::Compact,
        encoding: Encoding::Gzip,
        key: "7/01900000-0000-7000-8000-000000000002-1.compact.sqlite.gz".to_owned(),
        bytes: 45_678,
        sha256: "ef".repeat(32),
        unpacked: Some(unpacked("01")),
        finish: Some(1),
        selection: None,
    }];
}

#[test]
fn a_manifest_with_forms_is_written_as_before_and_older_readers_see_the_file_alone() {
    let mut manifest = manifest();
    with_forms(&mut manifest);
    let json = serde_json::to_vec_pretty(&manifest).unwrap();
    let golden = golden("manifest.json", &json);
    assert_eq!(
        serde_json::from_slice::<Manifest>(&golden).unwrap(),
        manifest
    );
    assert_eq!(String::from_utf8(json), String::from_utf8(golden.clone()));
    let written: Value = serde_json::from_slice(&golden).unwrap();
    let keys: Vec<_> = written["renditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| &r["key"])
        .collect();
    assert_eq!(keys, [&json!(manifest.renditions[0].key)]);
}

/// Adds what a manifest has of a sealed snapshot.
fn with_sealed(manifest: &mut Manifest) {
    manifest.sealed = vec![Rendition {
        form: Form::File,
        encoding: Encoding::Sqlcipher4,
        key: "7/01900000-0000-7000-8000-000000000002-1.sqlite.sqlcipher4".to_owned(),
        bytes: 1_300_000,
        sha256: "89".repeat(32),
        unpacked: None,
        finish: None,
        selection: None,
    }];
    manifest.sealed_key = Some(WrappedKey {
        by: "0123456789abcdef".to_owned(),
        key: "d3JhcHBlZA==".to_owned(),
    });
}

#[test]
fn sealed_renditions_travel_as_a_header_and_their_key_in_no_message() {
    let mut whole = manifest();
    with_forms(&mut whole);
    with_sealed(&mut whole);
    let completed = event(EventKind::Completed {
        manifest: Box::new(whole.clone()),
    });
    let message = Message::event(&completed, TraceContext::default()).unwrap();
    assert_eq!(message.body, golden("v2-event-completed", &[]));
    let headers = serde_json::to_string(&message.headers.extras.renditions).unwrap();
    assert!(!headers.contains("d3JhcHBlZA"), "{headers}");
    let mut without_key = whole.clone();
    without_key.sealed_key = None;
    let expected = event(EventKind::Completed {
        manifest: Box::new(without_key),
    });
    assert_eq!(message.decode(), Ok(expected));
    let job = SeedJob {
        start: Start::Base(Box::new(whole.into())),
        ..job()
    };
    let message = Message::job(&job, TraceContext::default()).unwrap();
    assert_eq!(message.body, golden("v2-job", &[]));
    assert_eq!(message.decode(), Ok(job));
}

#[test]
fn a_manifest_of_a_sealed_snapshot_is_written_as_before_and_older_readers_see_no_file_in_it() {
    let mut manifest = manifest();
    manifest.renditions.clear();
    with_sealed(&mut manifest);
    let json = serde_json::to_vec_pretty(&manifest).unwrap();
    let golden = golden("manifest-sealed.json", &json);
    assert_eq!(
        serde_json::from_slice::<Manifest>(&golden).unwrap(),
        manifest
    );
    assert_eq!(String::from_utf8(json), String::from_utf8(golden.clone()));
    let written: Value = serde_json::from_slice(&golden).unwrap();
    assert_eq!(
        (&written["renditions"], &written["forms"]),
        (&json!([]), &Value::Null)
    );
}
