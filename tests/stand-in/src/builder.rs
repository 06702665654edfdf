//! Sets up a service.

use crate::auth::Keys;
use crate::data::config::SyncConfig;
use crate::data::database::Database;
use crate::http::server::router;
use crate::powersync::PowerSync;
use crate::state::service::{Service, Settings};
use jsonwebtoken::{Algorithm, DecodingKey};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// A secret for tests: the bytes `seedbed-stand-in-secret-32-bytes` as base64url.
const DEFAULT_SECRET: &str = "c2VlZGJlZC1zdGFuZC1pbi1zZWNyZXQtMzItYnl0ZXM";

/// Settings of a service before it starts. The defaults are those of the recorded service.
#[must_use = "a builder does nothing until `start`"]
pub struct Builder {
    config: SyncConfig,
    deployment: Option<u64>,
    listen: SocketAddr,
    secret: String,
    kid: String,
    public_keys: Vec<(String, Algorithm, DecodingKey)>,
    audience: Option<String>,
    expiry_tolerance: Duration,
    ready: bool,
    settings: Settings,
}

impl PowerSync {
    /// Settings to start from.
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            config: SyncConfig::store_products(),
            deployment: None,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            secret: DEFAULT_SECRET.to_owned(),
            kid: "seedbed-test".to_owned(),
            public_keys: Vec::new(),
            audience: None,
            expiry_tolerance: Duration::from_secs(60),
            ready: true,
            settings: Settings {
                keepalive: Duration::from_secs(20),
                latency: Duration::ZERO,
                operation_time: Duration::ZERO,
                max_streams: 200,
                max_buckets: 1000,
                too_many_buckets_status: 500,
            },
        }
    }
}

impl Builder {
    /// The sync config; [`SyncConfig::store_products`] by default.
    pub fn config(mut self, config: SyncConfig) -> Self {
        self.config = config;
        self
    }

    /// The number in front of bucket names; by default 1 for bucket definitions and 2 for streams, as recorded.
    pub fn deployment(mut self, number: u64) -> Self {
        self.deployment = Some(number);
        self
    }

    /// Where to listen; a free port of 127.0.0.1 by default.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// The shared secret of HS256 tokens, base64url.
    pub fn secret(mut self, base64url: impl Into<String>) -> Self {
        self.secret = base64url.into();
        self
    }

    /// The key id of the shared secret; tokens without a key id may use it too.
    pub fn kid(mut self, kid: impl Into<String>) -> Self {
        self.kid = kid.into();
        self
    }

    /// Trusts a public key (PEM) for tokens with this key id. RS256, ES256 and EdDSA and their relatives work.
    ///
    /// # Errors
    /// When the key is not one for `algorithm`.
    pub fn public_key(
        mut self,
        kid: impl Into<String>,
        algorithm: Algorithm,
        pem: &[u8],
    ) -> Result<Self, jsonwebtoken::errors::Error> {
        let key = match algorithm {
            Algorithm::ES256 | Algorithm::ES384 => DecodingKey::from_ec_pem(pem)?,
            Algorithm::EdDSA => DecodingKey::from_ed_pem(pem)?,
            _ => DecodingKey::from_rsa_pem(pem)?,
        };
        self.public_keys.push((kid.into(), algorithm, key));
        Ok(self)
    }

    /// Accepts only tokens for this audience.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// For how long after its end a token is still let in, to be told `{"token_expires_in":0}`; 60 s by default.
    pub fn expiry_tolerance(mut self, tolerance: Duration) -> Self {
        self.expiry_tolerance = tolerance;
        self
    }

    /// How often an idle stream says how long its token lasts: 20 s by default, ± 10 %.
    pub fn keepalive(mut self, interval: Duration) -> Self {
        self.settings.keepalive = interval;
        self
    }

    /// How long every answer takes to start.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.settings.latency = latency;
        self
    }

    /// How long each operation takes to be sent, as by a service that reads it from its storage.
    pub fn operation_time(mut self, time: Duration) -> Self {
        self.settings.operation_time = time;
        self
    }

    /// How many streams may be open; one more gets 429 and `PSYNC_S2304`. 200 by default.
    pub fn max_streams(mut self, streams: u64) -> Self {
        self.settings.max_streams = streams;
        self
    }

    /// How many buckets a request may select; more get `PSYNC_S2305`. 1,000 by default.
    pub fn max_buckets(mut self, buckets: usize) -> Self {
        self.settings.max_buckets = buckets;
        self
    }

    /// The HTTP status that `PSYNC_S2305` comes with: 500 by default, 400 in other versions.
    pub fn too_many_buckets_status(mut self, status: u16) -> Self {
        self.settings.too_many_buckets_status = status;
        self
    }

    /// Starts without a sync config: `PSYNC_S2302` until [`PowerSync::set_ready`].
    pub fn without_sync_config(mut self) -> Self {
        self.ready = false;
        self
    }

    /// Starts the service on the current runtime.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    ///
    /// # Panics
    /// If the secret is not base64url.
    pub async fn start(self) -> io::Result<PowerSync> {
        let mut keys = Keys::new(self.secret, self.kid);
        keys.set_expiry_tolerance(self.expiry_tolerance);
        for (kid, algorithm, key) in self.public_keys {
            keys.add_public(kid, algorithm, key);
        }
        if let Some(audience) = self.audience {
            keys.set_audience(audience);
        }
        let deployment = self
            .deployment
            .unwrap_or_else(|| self.config.naming.recorded_deployment());
        let database = Database::new(self.config, deployment);
        let service = Arc::new(Service::new(database, keys, self.settings, self.ready));
        let listener = TcpListener::bind(self.listen).await?;
        let address = listener.local_addr()?;
        let shutdown = service.shutdown.clone();
        let server = axum::serve(listener, router(Arc::clone(&service)))
            .with_graceful_shutdown(async move { shutdown.cancelled().await });
        let server = tokio::spawn(async move {
            // Serving has no way to fail but that the runtime goes away.
            let _ = server.await;
        });
        Ok(PowerSync::new(service, address, server))
    }
}
