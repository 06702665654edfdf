//! The files behind signed URLs: whole, in part, compressed, and for how long.

use reqwest::Method;
use serde_json::json;
use sha2::{Digest, Sha256};
use testkit::{
    pipeline::same_rows,
    serving::{Answer, LOCAL_SERVE, Serving, client_token},
    wait,
};

use super::support::{STORES, seeded, serve, service_and_program, url_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_client_downloads_its_stores_snapshot_by_a_signed_url() {
    let (service, program, serving) = seeded().await;
    for store in STORES {
        let answer = serving.database(store).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("cache-control"), "no-store");
        let database = answer.json();
        assert_eq!(database["encoding"], "identity");
        assert_eq!(database["schemaVersion"], 12);
        assert!(
            database["checkpoint"]
                .as_str()
                .unwrap()
                .parse::<u64>()
                .unwrap()
                > 0
        );
        for time in ["expiresAt", "createdAt"] {
            let time = database[time].as_str().unwrap();
            assert!(chrono::DateTime::parse_from_rfc3339(time).is_ok(), "{time}");
        }
        let file = serving.get(&url_of(&answer), None).await;
        assert_eq!(file.status, 200, "{}", url_of(&answer));
        assert_eq!(
            file.body.len(),
            database["bytes"].as_u64().unwrap() as usize
        );
        let sha256 = Sha256::digest(&file.body);
        assert_eq!(database["sha256"], json!(format!("{sha256:x}")));
        program.write("downloaded.sqlite", &file.body);
        same_rows(&service, store, &program.path("downloaded.sqlite"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_url_is_good_for_its_own_file_and_time_only() {
    let (_service, mut program) = service_and_program().await;
    program.set("DOWNLOAD__URL_LIFETIME", "2s");
    let serving = serve(&program).await;
    let (one, two) = (serving.database("1").await, serving.database("2").await);
    let (one, two) = (url_of(&one), url_of(&two));
    let refused = async |url: &str| serving.get(url, None).await.refusal();
    let path = |url: &str| url.split('?').next().unwrap().to_owned();
    let query = |url: &str| url.split('?').nth(1).unwrap().to_owned();
    let bad = (403, "bad_signature".to_owned());
    assert_eq!(refused(&path(&one)).await, bad, "unsigned");
    assert_eq!(
        refused(&format!("{}?{}", path(&two), query(&one))).await,
        bad,
        "another store's"
    );
    assert_eq!(
        refused(&one.replace("signature=", "signature=A")).await,
        bad
    );
    let (before, expires) = one.split_once("expires=").unwrap();
    let (expires, after) = expires.split_once('&').unwrap();
    let later = expires.parse::<i64>().unwrap() + 3_600;
    assert_eq!(
        refused(&format!("{before}expires={later}&{after}")).await,
        bad
    );
    assert_eq!(
        refused(&format!("{before}expires=never&{after}")).await,
        bad
    );
    let manifest = one.replace(".sqlite?", ".json?");
    assert_eq!(refused(&manifest).await, bad);
    for traversal in [
        "../../etc/passwd",
        "..%2F..%2Fetc%2Fpasswd",
        "%2e%2e/%2e%2e/etc/passwd",
        "1/../2",
    ] {
        let url = format!("{}/snapshots/{traversal}?{}", serving.url, query(&one));
        let answer = serving.get(&url, None).await;
        assert!(matches!(answer.status.as_u16(), 403 | 404), "{answer:?}");
    }
    let expired = wait::for_some("it expires", async || {
        let answer = serving.get(&one, None).await;
        (answer.status != 200).then_some(answer)
    });
    let expired = expired.await;
    assert_eq!(expired.refusal(), (403, "expired".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_can_be_resumed_and_is_not_repeated_without_need() {
    let (_service, program, serving) = seeded().await;
    let url = url_of(&serving.database("1").await);
    let whole = serving.get(&url, None).await;
    let bytes = whole.body.len();
    assert_eq!(whole.header("accept-ranges"), "bytes");
    assert_eq!(whole.header("content-length"), bytes.to_string());
    let etag = whole.header("etag").to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag}");

    let rest = serving
        .get_with(&url, &[("range", "bytes=1000-"), ("if-range", &etag)])
        .await;
    assert_eq!(rest.status, 206);
    assert_eq!(
        rest.header("content-range"),
        format!("bytes 1000-{}/{bytes}", bytes - 1)
    );
    assert_eq!(rest.body, whole.body[1000..]);
    let last = serving.get_with(&url, &[("range", "bytes=-5")]).await;
    assert_eq!(last.body, whole.body[bytes - 5..]);
    let other = serving
        .get_with(&url, &[("range", "bytes=1000-"), ("if-range", "\"x\"")])
        .await;
    assert_eq!((other.status.as_u16(), other.body.len()), (200, bytes));
    let beyond = serving
        .get_with(&url, &[("range", &format!("bytes={bytes}-"))])
        .await;
    assert_eq!(beyond.refusal(), (416, "range_beyond_end".to_owned()));
    assert_eq!(beyond.header("content-range"), format!("bytes */{bytes}"));
    for ignored in [
        "items=0-5",
        "bytes=abc",
        "bytes=",
        "bytes=5-2",
        "bytes=0-1,3-4",
    ] {
        let all = serving.get_with(&url, &[("range", ignored)]).await;
        assert_eq!(
            (all.status.as_u16(), all.body.len()),
            (200, bytes),
            "{ignored}"
        );
    }
    let another = serving.get_with(&url, &[("if-match", "\"x\"")]).await;
    assert_eq!(another.refusal(), (412, "changed".to_owned()));
    let meant = serving.get_with(&url, &[("if-match", &etag)]).await;
    assert_eq!(meant.body.len(), bytes);
    let known = serving.get_with(&url, &[("if-none-match", &etag)]).await;
    assert_eq!((known.status.as_u16(), known.body.len()), (304, 0));
    let head = serving.send(Method::HEAD, &url, None, None).await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), bytes.to_string());

    let directory = std::fs::read_dir(program.path("seedbed-data/snapshots/1")).unwrap();
    for file in directory {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    assert_eq!(
        serving.get(&url, None).await.refusal(),
        (404, "gone".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrapped_file_says_how_it_is_wrapped() {
    let (_service, mut program) = service_and_program().await;
    program.set("SNAPSHOTS__RENDITIONS", "gzip,zstd");
    let serving = serve(&program).await;
    let token = client_token(json!({"store_id": "1"}));
    for (query, encoding) in [
        ("", "gzip"),
        ("&encoding=gzip", "gzip"),
        ("&encoding=zstd", "zstd"),
    ] {
        let path = format!("/database?store_id=1{query}");
        let answer = serving.get(&path, Some(&token)).await;
        assert_eq!(answer.json()["encoding"], encoding);
        let file = serving.get(&url_of(&answer), None).await;
        assert_eq!(file.header("content-encoding"), encoding);
        assert_eq!(answer.json()["bytes"], json!(file.body.len()));
    }
    let plain = serving
        .get("/database?store_id=1&encoding=identity", Some(&token))
        .await;
    assert_eq!(plain.refusal(), (404, "no_such_encoding".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_snapshot_is_not_handed_out() {
    let (_service, mut program) = service_and_program().await;
    program.set("DOWNLOAD__MAX_AGE", "1s");
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    let old = |answer: &Answer| answer.status == 404 && answer.refusal().1 == "snapshot_too_old";
    let answer = serving.database_until("1", old).await;
    assert!(
        answer.json()["message"]
            .as_str()
            .unwrap()
            .contains("older than 1s")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_a_snapshot_is_seeded_because_a_client_asks_but_once() {
    let (service, mut program) = service_and_program().await;
    program.set("DOWNLOAD__ON_DEMAND", "true");
    let serving = serve(&program).await;
    // A store that came after the last sweep, and one that is in no list.
    service.add_generated_store("new", 10, 9);
    let list = std::fs::read_to_string(program.path("stores.ndjson")).unwrap();
    program.write("stores.ndjson", format!("{list}{{\"store_id\":\"new\"}}\n"));
    let first = serving.database("new").await;
    assert_eq!(first.refusal(), (202, "being_seeded".to_owned()));
    assert!(first.header("retry-after").parse::<u32>().unwrap() >= 1);
    let again = futures::future::join_all((0..20).map(|_| serving.database("new"))).await;
    for answer in again {
        assert!(matches!(answer.status.as_u16(), 200 | 202), "{answer:?}");
    }
    let seeded = serving
        .database_until("new", |answer| answer.status == 200)
        .await;
    assert!(url_of(&seeded).contains("/snapshots/new/"));
    assert_eq!(
        service.metrics().store("new").requests,
        1,
        "it was seeded once"
    );

    let unknown = serving.database("nowhere").await;
    assert_eq!(
        unknown.status, 202,
        "only the source knows that there is none"
    );
    let unknown = serving
        .database_until("nowhere", |answer| answer.status == 404)
        .await;
    let wait: u64 = unknown.header("retry-after").parse().unwrap();
    assert!((1..=600).contains(&wait), "{wait}");
}
