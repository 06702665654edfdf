//! Many devices at once: a thousand first syncs, and everybody after a change of the sync config.

use futures::{StreamExt, future::join_all, stream};
use serde_json::{Value, json};
use testkit::{powersync::PowerSync, serving::Serving};

use super::support::{ask, lines, positions, post, puts, start_until, streaming, token_of};

const MIB: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_devices_at_once_are_each_given_every_row() {
    let (service, _program, serving) = streaming(500, |_| ()).await;
    let before = service.metrics();
    // All have their answers' headers before anyone reads a body.
    let devices = (0..1_000).map(async |device| {
        let store = if device % 2 == 0 { "1" } else { "2" };
        let token = token_of(store, device);
        post(
            &serving,
            &token,
            &json!({"buckets": []}),
            &[("accept-encoding", "gzip")],
        )
        .await
    });
    let open = join_all(devices).await;
    let refused = open.iter().filter(|answer| answer.status() != 200).count();
    assert_eq!(refused, 0);
    let bodies = join_all(open.into_iter().map(|answer| answer.bytes())).await;
    let whole: Vec<_> = bodies
        .into_iter()
        .map(|body| body.expect("it is whole"))
        .collect();
    for (device, body) in whole.iter().enumerate() {
        assert!(
            *body == whole[device % 2],
            "that of device {device} differs"
        );
    }
    let one = ask(&serving, &token_of("1", 9_999), &json!({}), &[]).await;
    assert_eq!(puts(&lines(&one.body)), 500);
    let after = service.metrics();
    assert_eq!(after.store("1").operations, before.store("1").operations);
    let used = serving.process.peak_memory().expect("it runs");
    assert!(used < 600 * MIB, "{} MiB", used / MIB);
}

/// Devices that have synced before the change.
const DEVICES: usize = 200;

const ROWS: u32 = 60;

#[tokio::test(flavor = "multi_thread")]
async fn after_a_rename_of_all_buckets_the_service_sends_next_to_nothing() {
    let (service, _program, serving) = streaming(ROWS, |_| ()).await;
    let operations = || service.metrics().store("1").operations;
    let first = lines(&ask(&serving, &token_of("1", 0), &json!({}), &[]).await.body);
    let had = positions(&first);
    let old = start_until(&serving, "1", "", |_| true).await["generation"].clone();

    service.redeploy();
    let changed = operations();
    let run = serving.post("/api/runs", Some(json!({}))).await;
    assert!(run.status.is_success(), "{run:?}");
    start_until(&serving, "1", "", |start| {
        start["generation"] != old && start["from"] == "seedbed"
    })
    .await;

    let caught_up =
        stream::iter(0..DEVICES).map(|device| catch_up(&service, &serving, device, &had, &old));
    let rows: Vec<usize> = caught_up.buffer_unordered(20).collect().await;
    assert_eq!(rows, [ROWS as usize; DEVICES]);
    // The worker's own download is in it.
    let sent = operations() - changed;
    let without = DEVICES as u64 * u64::from(ROWS);
    assert!(
        sent <= without / 50,
        "{sent} operations, and without Seedbed {without}"
    );
}

/// What an SDK does that has positions of the old sync config: asks where to go, takes what it is given, and goes on at the
/// service. Returns the rows that it was sent altogether.
async fn catch_up(
    service: &PowerSync,
    serving: &Serving,
    device: usize,
    had: &Value,
    old: &Value,
) -> usize {
    let token = token_of("1", device);
    let query = format!("&generation={}", old.as_str().unwrap());
    let start = serving
        .get(&format!("/start?store_id=1{query}"), Some(&token))
        .await
        .json();
    assert_eq!(start["why"], "new_config", "{start}");
    assert_eq!(start["endpoint"], serving.url);
    let given = ask(serving, &token, &json!({"buckets": had}), &[]).await;
    assert_eq!(given.status, 200, "{given:?}");
    let given = lines(&given.body);
    let body = json!({"buckets": positions(&given), "include_checksum": true, "raw_data": true});
    // The service's stream stays open: its first lines tell.
    let answer = serving
        .request(
            reqwest::Method::POST,
            &format!("{}/sync/stream", service.endpoint()),
        )
        .bearer_auth(service.token_for("1"))
        .json(&body)
        .send()
        .await
        .unwrap();
    let mut bytes = answer.bytes_stream();
    let mut read = Vec::new();
    while let Some(piece) = bytes.next().await {
        read.extend_from_slice(&piece.unwrap());
        if String::from_utf8_lossy(&read).contains("checkpoint_complete") {
            break;
        }
    }
    let end = read.iter().rposition(|byte| *byte == b'\n').unwrap();
    puts(&given) + puts(&lines(&read[..end]))
}
