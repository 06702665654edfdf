//! Who is given a first sync, in which format, and who is sent to the service by the one status that an SDK understands.

use bson::Document;
use reqwest::{Method, StatusCode};
use seedbed_protocol::{manifest::Encoding, objects::unwrap};
use serde_json::{Value, json};
use testkit::serving::{client_token, now};
use tokio::io::AsyncReadExt;

use super::support::{SDK, ask, lines, positions, puts, start_until, streaming, token_of};

async fn unpacked(body: Vec<u8>) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut content = unwrap(Encoding::Gzip, std::io::Cursor::new(body));
    content.read_to_end(&mut plain).await.unwrap();
    plain
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_given_one_whole_checkpoint_as_it_takes_it() {
    let (_service, _program, serving) = streaming(120, |_| ()).await;
    let token = token_of("1", 1);
    let plain = ask(&serving, &token, &json!({"buckets": []}), &[]).await;
    assert_eq!(plain.status, StatusCode::OK, "{plain:?}");
    assert_eq!(plain.header("content-type"), "application/x-ndjson");
    assert_eq!(plain.header("content-encoding"), "");
    assert_eq!(plain.header("cache-control"), "no-store");
    let read = lines(&plain.body);
    assert!(read[0]["checkpoint"]["last_op_id"].is_string());
    assert_eq!(puts(&read), 120);
    let end = read.split_last_chunk::<2>().unwrap().1;
    assert!(end[0]["checkpoint_complete"].is_object());
    assert_eq!(end[1], json!({"token_expires_in": 0}));

    let packed = ask(
        &serving,
        &token,
        &json!({}),
        &[("accept-encoding", "zstd, gzip")],
    )
    .await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert!(packed.body.len() < plain.body.len() / 2);
    assert!(unpacked(packed.body).await == plain.body);

    let headers = [("accept", SDK), ("accept-encoding", "gzip, deflate")];
    let bson = ask(&serving, &token, &json!({}), &headers).await;
    assert_eq!(
        bson.header("content-type"),
        "application/vnd.powersync.bson-stream"
    );
    let bson = unpacked(bson.body).await;
    let mut rest = &bson[..];
    let mut documents = Vec::new();
    while !rest.is_empty() {
        let document = Document::from_reader(&mut rest).unwrap();
        documents.push(bson::deserialize_from_document::<Value>(document).unwrap());
    }
    // An int32 is a number of JSON, and so is a double, with a point.
    let whole = |value: &Value| {
        let text = value.to_string().replace(".0,", ",").replace(".0}", "}");
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let documents: Vec<_> = documents.iter().map(whole).collect();
    assert_eq!(documents, read);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_cannot_be_served_is_sent_to_the_service() {
    let (service, _program, serving) = streaming(20, |_| ()).await;
    let token = token_of("1", 1);
    let first = lines(&ask(&serving, &token, &json!({}), &[]).await.body);
    let has = positions(&first);
    let bucket = &has[0]["name"];
    let newer = json!([{"name": bucket, "after": "99999999"}]);
    let many: Vec<_> = (0..5_001)
        .map(|n| json!({"name": format!("0#{n}"), "after": "1"}))
        .collect();
    for (body, error) in [
        (json!({"buckets": has}), "own_positions"),
        (json!({"buckets": newer}), "newer_positions"),
        (
            json!({"buckets": [{"name": "99#a[]", "after": "1"}]}),
            "newer_positions",
        ),
        (
            json!({"streams": {"subscriptions": [{"stream": "other"}]}}),
            "other_selection",
        ),
        (json!({"parameters": {"region": "eu"}}), "other_selection"),
        (json!({"buckets": many}), "too_many_buckets"),
        (json!({"padding": "x".repeat(1 << 20)}), "too_large"),
    ] {
        let refused = ask(&serving, &token, &body, &[]).await;
        assert_eq!(refused.refusal(), (401, error.to_owned()));
        assert_eq!(refused.header("www-authenticate"), "Bearer");
    }
    let html = ask(&serving, &token, &json!({}), &[("accept", "text/html")]).await;
    assert_eq!(html.refusal(), (401, "not_acceptable".to_owned()));
    let nowhere = ask(&serving, &token_of("nowhere", 1), &json!({}), &[]).await;
    assert_eq!(nowhere.refusal(), (401, "no_snapshot".to_owned()));
    for bad in [
        "",
        "x",
        &client_token(json!({"store_id": "1", "exp": now() - 60})),
    ] {
        let refused = ask(&serving, bad, &json!({}), &[]).await;
        assert_eq!(refused.refusal().0, 401, "{bad}");
    }
    assert_eq!(
        ask(&serving, &token, &json!([]), &[]).await.refusal().0,
        400
    );

    // An older sync config's positions are no obstacle.
    let older = json!({"buckets": [{"name": "0#store_products[\"1\"]", "after": "1"}]});
    assert_eq!(ask(&serving, &token, &older, &[]).await.status, 200);

    // No local write is taken for one that has arrived.
    let written = serving
        .get("/write-checkpoint2.json?client_id=x", Some(&token))
        .await;
    assert_eq!(written.refusal(), (401, "not_here".to_owned()));
    let requested = serving.send(
        Method::POST,
        "/sync/checkpoint-request",
        Some(&token),
        Some(json!({})),
    );
    assert_eq!(requested.await.refusal(), (401, "not_here".to_owned()));
    assert_eq!(service.metrics().store("1").streams, 1, "the worker's own");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_told_which_endpoint_and_why() {
    let (service, _program, serving) = streaming(20, |program| {
        program.set("SERVE__CORS_ORIGINS", "https://app.example.com");
    })
    .await;
    let start = start_until(&serving, "1", "", |_| true).await;
    let config = start["generation"]
        .as_str()
        .unwrap()
        .parse::<u64>()
        .unwrap();
    assert_eq!(start["endpoint"], serving.url);
    assert_eq!(start["why"], "first_sync");
    let powersync = service.endpoint();
    let powersync = powersync.trim_end_matches('/');
    assert_eq!(start["serviceEndpoint"], powersync);
    for (device, from, why) in [
        (config - 1, "seedbed", "new_config"),
        (config, "powersync", "own_positions"),
        (config + 1, "powersync", "newer_positions"),
    ] {
        let start = start_until(&serving, "1", &format!("&generation={device}"), |_| true).await;
        assert_eq!((&start["from"], &start["why"]), (&json!(from), &json!(why)));
        let endpoint = if from == "seedbed" {
            &*serving.url
        } else {
            powersync
        };
        assert_eq!(start["endpoint"], endpoint);
    }
    let token = token_of("1", 1);
    for (path, token, refusal) in [
        (
            "/start?store_id=1&form=file",
            Some(&token),
            (400, "invalid_request"),
        ),
        (
            "/start?store_id=1&generation=",
            Some(&token),
            (400, "invalid_request"),
        ),
        (
            "/start?store_id=1&generation=abc",
            Some(&token),
            (400, "invalid_request"),
        ),
        (
            "/start?store_id=1&generation=99999999999999999999999",
            Some(&token),
            (400, "invalid_request"),
        ),
        ("/start", Some(&token), (400, "invalid_request")),
        ("/start?store_id=2", Some(&token), (403, "wrong_store")),
        ("/start?store_id=1", None, (401, "unauthorized")),
    ] {
        let (status, error) = serving.get(path, token.map(String::as_str)).await.refusal();
        assert_eq!((status, error.as_str()), refusal, "{path}");
    }

    // A token with several stores has an endpoint of each.
    let both = client_token(json!({"store_id": ["1", "2"]}));
    let start = serving.get("/start?store_id=2", Some(&both)).await;
    assert_eq!(start.header("cache-control"), "no-store");
    let endpoint = start.json()["endpoint"].as_str().unwrap().to_owned();
    assert_eq!(endpoint, format!("{}/stores/2", serving.url));
    let stream = format!("{endpoint}/sync/stream");
    let given = serving
        .send(Method::POST, &stream, Some(&both), Some(json!({})))
        .await;
    assert_eq!(
        (given.status.as_u16(), puts(&lines(&given.body))),
        (200, 20)
    );
    let unsaid = ask(&serving, &both, &json!({}), &[]).await;
    assert_eq!(unsaid.refusal(), (401, "which_store".to_owned()));

    let preflight = serving
        .request(Method::OPTIONS, "/sync/stream")
        .header("origin", "https://app.example.com")
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,content-type,x-user-agent",
        );
    let allowed = preflight.send().await.unwrap();
    let header = |name| allowed.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(
        header("access-control-allow-origin"),
        "https://app.example.com"
    );
    assert!(header("access-control-allow-methods").contains("POST"));
    assert!(header("access-control-allow-headers").contains("x-user-agent"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_streams_among_the_renditions_every_device_goes_to_the_service() {
    let (service, program) = testkit::serving::prepared(&["1"], 5).await;
    let serving = testkit::serving::Serving::start(&program, &testkit::serving::LOCAL_SERVE).await;
    let start = start_until(&serving, "1", "", |start| start["why"] != "no_snapshot").await;
    assert_eq!(
        (&start["from"], &start["why"]),
        (&json!("powersync"), &json!("no_stream"))
    );
    assert_eq!(start["endpoint"], service.endpoint().trim_end_matches('/'));
    let refused = ask(&serving, &token_of("1", 1), &json!({}), &[]).await;
    assert_eq!(refused.refusal(), (401, "no_stream".to_owned()));
}
