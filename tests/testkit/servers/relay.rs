//! A way to a server on loopback that can be cut and led to another server.

use std::net::Ipv4Addr;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// Passes connections on; closes its port when it is dropped.
pub struct Relay {
    /// Where it listens.
    pub port: u16,
    /// The port that connections lead to; none while they are cut.
    target: watch::Sender<Option<u16>>,
    accept: JoinHandle<()>,
}

impl Relay {
    /// Listens on a free port, and passes connections on to `target`.
    ///
    /// # Panics
    /// When loopback has no free port.
    pub async fn to(target: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let (target, follow) = watch::channel(Some(target));
        let accept = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass_on(client, follow.clone()));
            }
        });
        Self {
            port: address.port(),
            target,
            accept,
        }
    }

    /// Ends all connections, and every new one at once.
    pub fn cut(&self) {
        self.target.send_replace(None);
    }

    /// Ends all connections and passes new ones on to `target`.
    pub fn lead_to(&self, target: u16) {
        self.target.send_replace(Some(target));
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

/// Passes one connection on until it ends, or the relay leads elsewhere.
async fn pass_on(mut client: TcpStream, mut follow: watch::Receiver<Option<u16>>) {
    let Some(target) = *follow.borrow_and_update() else {
        return;
    };
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await else {
        return;
    };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = follow.changed() => {}
    }
}
