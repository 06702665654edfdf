//! A first sync that stops in the middle: the object storage fails, or the device takes nothing.

use std::{net::SocketAddr, time::Duration};

use serde_json::json;
use testkit::{objects::ObjectServer, wait};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use super::support::{ask, post, streaming, token_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_first_sync_that_the_object_storage_breaks_off_is_never_complete() {
    let server = ObjectServer::s3().await;
    let (_service, _program, serving) = streaming(1_500, |program| {
        program.set("SNAPSHOTS__URL", &server.url);
        program.set("SNAPSHOTS__RENDITIONS", "file/identity,stream/identity");
        program.set_variables(server.variables.clone());
    })
    .await;
    let token = token_of("1", 1);
    let whole = ask(&serving, &token, &json!({}), &[]).await;
    assert!(
        whole.body.len() > 600_000,
        "it has several pieces: {}",
        whole.body.len()
    );
    assert!(whole.body.ends_with(b"{\"token_expires_in\":0}\n"));

    // Every piece but the first.
    let later = |request: &axum::extract::Request| {
        let range = request
            .headers()
            .get("range")
            .and_then(|range| range.to_str().ok());
        range.is_some_and(|range| !range.starts_with("bytes=0-"))
    };
    server.faults.refuse(later, 403, "");
    let mut broken = post(&serving, &token, &json!({}), &[]).await;
    assert_eq!(broken.status(), 200);
    let mut read = Vec::new();
    let ended = loop {
        match broken.chunk().await {
            Ok(Some(piece)) => read.extend_from_slice(&piece),
            ended => break ended,
        }
    };
    assert!(ended.is_err(), "it ends as if it were whole");
    let text = String::from_utf8_lossy(&read);
    assert!(text.contains("\"checkpoint\"") && !text.contains("checkpoint_complete"));

    // What cannot be begun is refused, so that the SDK asks for other credentials.
    server
        .faults
        .refuse(|request| request.headers().contains_key("range"), 403, "");
    let refused = ask(&serving, &token, &json!({}), &[]).await;
    assert_eq!(refused.refusal().0, 401);
    // The same token is served as soon as it can be.
    server.faults.refuse(|_| false, 403, "");
    let again = ask(&serving, &token, &json!({}), &[]).await;
    assert!(again.status == 200 && again.body == whole.body);
}

/// A device that has asked and takes nothing of the answer.
async fn silent(address: SocketAddr, token: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut connection = socket.connect(address).await.unwrap();
    let request = format!(
        "POST /sync/stream HTTP/1.1\r\nHost: {address}\r\nAuthorization: Token {token}\r\nContent-Length: 2\r\n\r\n{{}}"
    );
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    connection.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_has_one_stream_and_loses_it_when_it_takes_nothing() {
    let (_service, _program, serving) = streaming(12_000, |program| {
        program.set("SERVE__SLOW_READER", "1s");
        program.set("DOWNLOAD__MAX_STREAMS", "2");
    })
    .await;
    let address = serving.url.trim_start_matches("http://").parse().unwrap();
    let (one, other) = (token_of("1", 1), token_of("1", 2));
    let mut first = silent(address, &one).await;
    let second = ask(&serving, &one, &json!({}), &[]).await;
    assert_eq!(second.refusal(), (429, "too_many_streams".to_owned()));
    assert!(second.header("retry-after").parse::<u64>().unwrap() >= 1);
    let _another = silent(address, &other).await;
    let third = ask(&serving, &token_of("1", 3), &json!({}), &[]).await;
    assert_eq!(third.refusal(), (429, "too_many_streams".to_owned()));

    // Both are cut, and their places are free again.
    wait::until("the places are free", async || {
        let again = ask(&serving, &one, &json!({}), &[]).await;
        again.status == 200
    })
    .await;
    let mut rest = Vec::new();
    let read = timeout(Duration::from_secs(20), first.read_to_end(&mut rest)).await;
    let _ = read.expect("the connection is closed");
    assert!(!String::from_utf8_lossy(&rest).contains("checkpoint_complete"));
    let answer = serving.database("1").await;
    assert_eq!(answer.status, 200);
}
