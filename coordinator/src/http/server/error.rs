//! Errors of starting the HTTP server.

use std::net::SocketAddr;

use seedbed_protocol::{process::may_listen_later, settings::SettingsError};
use seedbed_worker::powersync::TokenError;

use crate::http::download::DownloadError;

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// It cannot listen.
    #[error("cannot listen at {address} (serve.listen): {source}")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
    /// It cannot listen for probes.
    #[error("cannot listen at {address} (serve.health_listen): {source}")]
    ListenHealth {
        address: SocketAddr,
        source: std::io::Error,
    },
    /// It cannot speak TLS.
    #[error(transparent)]
    Tls(#[from] SettingsError),
    /// The public half of Seedbed's own key cannot be published.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The provider of logins cannot be asked.
    #[error("login.issuer cannot be asked: {0}")]
    Client(reqwest::Error),
    /// Snapshots cannot be handed out.
    #[error(transparent)]
    Downloads(#[from] DownloadError),
}

impl HttpError {
    /// Returns whether a person has to change the settings before it can succeed. Otherwise the same call may succeed
    /// later: object storage is down, or another process still listens there.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Downloads(DownloadError::Snapshots(error)) => !error.is_transient(),
            Self::Listen { source, .. } | Self::ListenHealth { source, .. } => {
                !may_listen_later(source)
            }
            Self::Tls(_) | Self::Token(_) | Self::Client(_) | Self::Downloads(_) => true,
        }
    }
}
