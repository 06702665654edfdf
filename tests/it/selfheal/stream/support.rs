//! A server that answers with any bytes, and workers that ask it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use seedbed_worker::settings::WorkerSettings;
use testkit::pipeline::{Access, Pipeline};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// The head of an answer with lines, whose body ends with the connection.
pub(super) const LINES: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n";

/// What a server sends.
pub(super) enum Answer {
    /// These bytes; then it closes the connection.
    Once(Vec<u8>),
    /// These bytes, then the others again and again, with a pause before each.
    Endless(Vec<u8>, Vec<u8>, Duration),
}

impl From<String> for Answer {
    fn from(text: String) -> Self {
        Self::Once(text.into_bytes())
    }
}

/// A server on loopback; gone when this is dropped.
pub(super) struct Server {
    /// Its URL.
    pub(super) url: String,
    requests: Arc<Mutex<Vec<String>>>,
    accept: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

impl Server {
    /// Starts a server; `answer` gets the number of the request, from 0, and its text.
    pub(super) async fn start(
        answer: impl Fn(usize, &str) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (requests.clone(), Arc::new(answer));
        let accept = tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let (seen, answer) = (seen.clone(), answer.clone());
                tokio::spawn(async move {
                    let request = read_request(&mut socket).await;
                    let answer = {
                        let mut seen = seen.lock().unwrap();
                        seen.push(request);
                        answer(seen.len() - 1, &seen[seen.len() - 1])
                    };
                    // The worker goes away when it has seen enough.
                    let _ = send(&mut socket, answer).await;
                });
            }
        });
        Self {
            url,
            requests,
            accept,
        }
    }

    /// The requests so far: heads and bodies.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// A worker that takes this for the service. It tries each job once.
    pub(super) async fn worker(&self, change: impl FnOnce(&mut WorkerSettings)) -> Pipeline {
        let access = Access {
            endpoint: self.url.clone(),
            secret: "YSBzZWNyZXQgb2YgdGhpcnR5LXR3byBieXRlcyAuLi4u".to_owned(),
            kid: "seed".to_owned(),
        };
        Pipeline::start_with(access, |settings| {
            settings.worker.max_attempts = 1;
            change(settings);
        })
        .await
    }
}

async fn read_request(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.split("content-length: ").nth(1);
            let length = length.and_then(|rest| rest.lines().next()?.trim().parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        if socket.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return text;
        }
    }
}

async fn send(socket: &mut TcpStream, answer: Answer) -> std::io::Result<()> {
    match answer {
        Answer::Once(bytes) => {
            socket.write_all(&bytes).await?;
            socket.shutdown().await
        }
        Answer::Endless(head, again, pause) => {
            socket.write_all(&head).await?;
            loop {
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
                socket.write_all(&again).await?;
            }
        }
    }
}
