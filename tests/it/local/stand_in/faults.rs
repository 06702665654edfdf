//! Every fault does what it says, once, and to the right request.

use super::client::{
    Format, Lines, ask, assert_checksums_add_up, checksum, download, first_request, operations,
};
use reqwest::Response;
use serde_json::json;
use std::time::{Duration, Instant};
use testkit::powersync::{Fault, PowerSync, Replay};

async fn start() -> PowerSync {
    let service = PowerSync::builder().start().await.expect("a free port");
    service.add_generated_store("a", 2000, 7);
    service.add_generated_store("b", 5, 7);
    service
}

async fn ask_a(service: &PowerSync) -> Response {
    ask(service, "a", &first_request(), Format::Bson).await
}

/// Reads to the end of the body: how many bytes came, and whether the end was a clean one.
async fn read_all(mut response: Response) -> (u64, bool) {
    let mut bytes = 0;
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes += chunk.len() as u64,
            Ok(None) => return (bytes, true),
            Err(_) => return (bytes, false),
        }
    }
}

#[tokio::test]
async fn a_cut_connection_breaks_in_the_middle_of_the_body_and_only_once() {
    let service = start().await;
    for bytes in [0, 5000, 700_000] {
        service.faults().push(Fault::CutAfter { bytes });
        assert_eq!(read_all(ask_a(&service).await).await, (bytes, false));
    }
    assert_eq!(service.faults().waiting(), 0);
    assert_eq!(
        operations(&download(&service, "a", &first_request(), Format::Bson).await).len(),
        2000
    );
}

#[tokio::test]
async fn a_body_can_end_cleanly_in_the_middle_of_a_line() {
    let service = start().await;
    service.faults().push(Fault::EndAfter { bytes: 5000 });
    assert_eq!(read_all(ask_a(&service).await).await, (5000, true));
}

#[tokio::test]
async fn a_stalled_body_sends_nothing_more_until_the_client_leaves() {
    let service = start().await;
    service.faults().push(Fault::StallAfter { bytes: 5000 });
    let mut response = ask_a(&service).await;
    let mut bytes = 0;
    while bytes < 5000 {
        bytes += response
            .chunk()
            .await
            .expect("no error")
            .expect("no end")
            .len();
    }
    assert_eq!(bytes, 5000);
    tokio::time::timeout(Duration::from_millis(50), response.chunk())
        .await
        .expect_err("silence");
    assert_eq!(service.metrics().total.open_streams, 1);
    drop(response);
    service
        .wait_for(|metrics| metrics.total.open_streams == 0)
        .await;
}

#[tokio::test]
async fn a_wrong_checksum_is_wrong_and_the_next_one_right() {
    let service = start().await;
    service.faults().push(Fault::WrongChecksum);
    let wrong = download(&service, "a", &first_request(), Format::Bson).await;
    let right = download(&service, "a", &first_request(), Format::Bson).await;
    let of = |lines: &[serde_json::Value]| checksum(&lines[0]["checkpoint"]["buckets"][0]);
    assert_ne!(of(&wrong), of(&right));
    assert_checksums_add_up(&right);
}

#[tokio::test]
async fn statuses_come_with_retry_after_and_errors_with_the_services_body() {
    let service = start().await;
    for (status, retry_after) in [
        (500, None),
        (503, Some("2")),
        (429, Some("Wed, 21 Oct 2026 07:28:00 GMT")),
    ] {
        service.faults().push(Fault::Status {
            status,
            retry_after: retry_after.map(str::to_owned),
        });
        let response = ask_a(&service).await;
        assert_eq!(response.status(), status);
        assert_eq!(
            response
                .headers()
                .get("retry-after")
                .and_then(|value| value.to_str().ok()),
            retry_after
        );
    }
    service.faults().push(Fault::Error {
        status: 500,
        code: "PSYNC_S2305",
    });
    let response = ask_a(&service).await;
    assert_eq!(response.status(), 500);
    let body: serde_json::Value = response.json().await.expect("a JSON body");
    assert_eq!(body["error"]["code"], "PSYNC_S2305");
    assert_eq!(body["error"]["status"], 500);
}

#[tokio::test]
async fn a_web_page_is_200_but_no_stream() {
    let service = start().await;
    service.faults().push(Fault::HtmlPage);
    let response = ask_a(&service).await;
    assert_eq!(response.status(), 200);
    assert_eq!(
        response.headers()["content-type"],
        "text/html; charset=utf-8"
    );
    assert!(
        response
            .text()
            .await
            .expect("a body")
            .starts_with("<!DOCTYPE html>")
    );
}

#[tokio::test]
async fn answers_can_be_late() {
    let service = PowerSync::builder()
        .latency(Duration::from_millis(60))
        .start()
        .await
        .expect("a free port");
    let asked = Instant::now();
    ask_a(&service).await;
    assert!(asked.elapsed() >= Duration::from_millis(60));
    service
        .faults()
        .push(Fault::Delay(Duration::from_millis(60)));
    let asked = Instant::now();
    assert_eq!(ask_a(&service).await.status(), 200);
    assert!(asked.elapsed() >= Duration::from_millis(120));
}

#[tokio::test]
async fn a_fault_for_one_store_spares_the_others() {
    let service = start().await;
    let fault = || Fault::Status {
        status: 503,
        retry_after: None,
    };
    service.faults().push_for("b", fault());
    assert_eq!(ask_a(&service).await.status(), 200);
    assert_eq!(
        ask(&service, "b", &json!({}), Format::Bson).await.status(),
        503
    );
    assert_eq!(
        ask(&service, "b", &json!({}), Format::Bson).await.status(),
        200
    );
    service.faults().always_for("b", fault());
    for _ in 0..3 {
        assert_eq!(
            ask(&service, "b", &json!({}), Format::Bson).await.status(),
            503
        );
    }
    service.faults().clear();
    assert_eq!(
        ask(&service, "b", &json!({}), Format::Bson).await.status(),
        200
    );
}

#[tokio::test]
async fn a_probable_fault_happens_about_as_often_as_it_should() {
    let service = start().await;
    service.faults().with_probability(
        0.5,
        Fault::Status {
            status: 503,
            retry_after: None,
        },
    );
    let mut failed = 0;
    for _ in 0..100 {
        failed += u32::from(ask(&service, "b", &json!({}), Format::Bson).await.status() == 503);
    }
    assert!((30..=70).contains(&failed), "{failed} of 100");
}

#[tokio::test]
async fn a_replayed_body_answers_anything_exactly_and_ends_or_stays_open() {
    let service = start().await;
    let body = &b"{\"checkpoint_complete\":{\"last_op_id\":\"1\"}}\nhalf a li"[..];
    service.replay(Replay::new(body, "application/x-ndjson").for_store("b"));
    service.replay(Replay::new(body, "text/odd").encoded("br").staying_open());
    let mut response = ask_a(&service).await;
    assert_eq!(response.headers()["content-type"], "text/odd");
    assert_eq!(response.headers()["content-encoding"], "br");
    assert_eq!(
        response.chunk().await.expect("no error").expect("no end"),
        body
    );
    tokio::time::timeout(Duration::from_millis(50), response.chunk())
        .await
        .expect_err("it stays open");
    let response = ask(&service, "b", &json!({}), Format::Ndjson).await;
    assert_eq!(response.bytes().await.expect("a clean end"), body);
    let mut stream = Lines::open(&service, "b", &json!({}), Format::Bson).await;
    assert_eq!(
        operations(&stream.until_complete().await).len(),
        5,
        "then the service answers itself"
    );
}
