//! A device's way to the network: so many bits a second, and so long until a byte arrives.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep_until},
};

/// Bytes that are read at a time.
const PIECE: usize = 16 * 1024;

/// Pieces that a connection has on the way at most: more than bandwidth times latency, as routers have it.
const ON_THE_WAY: usize = 32;

/// The link of one device to any number of servers on loopback. They share what it carries. Closed when it is dropped.
pub struct Link {
    down: Arc<Lane>,
    up: Arc<Lane>,
    accepting: Vec<JoinHandle<()>>,
}

impl Link {
    /// A link of so many bits a second each way, and half of `round_trip` until a byte arrives.
    pub fn new(bits_per_second: u32, round_trip: Duration) -> Self {
        let lane = || {
            Arc::new(Lane {
                bytes_per_second: f64::from(bits_per_second) / 8.0,
                latency: round_trip / 2,
                free: Mutex::new(Instant::now()),
                carried: AtomicU64::new(0),
            })
        };
        Self {
            down: lane(),
            up: lane(),
            accepting: Vec::new(),
        }
    }

    /// The port at which the device finds the server that listens at `target`.
    ///
    /// # Panics
    /// When loopback has no free port.
    pub async fn to(&mut self, target: u16) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("loopback has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (down, up) = (self.down.clone(), self.up.clone());
        self.accepting.push(tokio::spawn(async move {
            while let Ok((device, _)) = listener.accept().await {
                let (down, up) = (down.clone(), up.clone());
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await else {
                        return;
                    };
                    let (from_device, to_device) = device.into_split();
                    let (from_server, to_server) = server.into_split();
                    tokio::join!(
                        down.carry(from_server, to_device),
                        up.carry(from_device, to_server)
                    );
                });
            }
        }));
        port
    }

    /// Bytes that have reached the device.
    pub fn received(&self) -> u64 {
        self.down.carried.load(Ordering::Relaxed)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        for accepting in &self.accepting {
            accepting.abort();
        }
    }
}

/// One direction.
struct Lane {
    bytes_per_second: f64,
    latency: Duration,
    /// When the last byte so far has been sent.
    free: Mutex<Instant>,
    carried: AtomicU64,
}

impl Lane {
    /// Carries a connection's bytes to its end.
    async fn carry(&self, mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
        let (send, mut arrive) = mpsc::channel::<(Instant, Vec<u8>)>(ON_THE_WAY);
        let read = async move {
            let mut piece = vec![0; PIECE];
            while let Ok(length @ 1..) = from.read(&mut piece).await {
                let sent = self.sent(length);
                sleep_until(sent).await;
                let piece = piece[..length].to_vec();
                if send.send((sent + self.latency, piece)).await.is_err() {
                    return;
                }
            }
        };
        let write = async move {
            while let Some((due, piece)) = arrive.recv().await {
                sleep_until(due).await;
                if to.write_all(&piece).await.is_err() {
                    return;
                }
                let length = piece.len() as u64;
                self.carried.fetch_add(length, Ordering::Relaxed);
            }
            // It has gone already when this fails.
            let _ = to.shutdown().await;
        };
        tokio::join!(read, write);
    }

    /// When the last of so many bytes has been sent, after what others send.
    fn sent(&self, length: usize) -> Instant {
        let mut free = self.free.lock().expect("nobody panics with it");
        let takes = Duration::from_secs_f64(length as f64 / self.bytes_per_second);
        *free = (*free).max(Instant::now()) + takes;
        *free
    }
}
