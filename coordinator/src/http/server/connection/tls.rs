//! Speaks TLS by a certificate and a key in files, which are read again when they change.

use std::{
    convert::Infallible,
    io,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use chrono::{DateTime, Utc};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use seedbed_protocol::settings::SettingsError;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tracing::{info, warn};

use crate::{metrics::TlsMetrics, settings::TlsFiles};

const CERTIFICATE: &str = "serve.tls_certificate_file";
const KEY: &str = "serve.tls_key_file";

/// Between two looks at the files.
const LOOK_PAUSE: Duration = Duration::from_secs(2);

/// What clients may choose, the best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Speaks TLS.
#[derive(Clone)]
pub(in crate::http::server) struct Tls {
    acceptor: TlsAcceptor,
    certificate: Arc<Certificate>,
}

/// Returns when the certificate in these files expires.
///
/// # Errors
/// [`SettingsError`] names the setting whose file cannot be used.
pub(crate) fn certificate_expires(files: &TlsFiles) -> Result<DateTime<Utc>, SettingsError> {
    let (_, expires) = parse(files, &read(files)?)?;
    Ok(expires)
}

/// The certificate that new connections get.
#[derive(Debug)]
struct Certificate {
    files: TlsFiles,
    current: RwLock<Current>,
    metrics: TlsMetrics,
}

#[derive(Debug)]
struct Current {
    pem: Pem,
    key: Arc<CertifiedKey>,
}

/// What is in the files.
#[derive(Debug, PartialEq, Eq)]
struct Pem {
    chain: Vec<u8>,
    key: Vec<u8>,
}

impl Tls {
    /// Reads the certificate and its key.
    ///
    /// # Errors
    /// [`SettingsError`] names the setting whose file cannot be used.
    pub(in crate::http::server) fn open(files: &TlsFiles) -> Result<Self, SettingsError> {
        let pem = read(files)?;
        let (key, expires) = parse(files, &pem)?;
        let metrics = TlsMetrics::new();
        metrics.expires(expires);
        if expires < Utc::now() {
            warn!("the certificate in serve.tls_certificate_file has expired at {expires}");
        }
        let certificate = Arc::new(Certificate {
            files: files.clone(),
            current: RwLock::new(Current { pem, key }),
            metrics,
        });
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("the provider has both versions of TLS")
                .with_no_client_auth()
                .with_cert_resolver(certificate.clone());
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            certificate,
        })
    }

    /// Shakes hands with a client. The caller bounds the time.
    pub(super) async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.acceptor.accept(stream).await
    }

    /// Reads the files again whenever they have changed, until the future is dropped. Keeps the last good certificate.
    pub(in crate::http::server) async fn keep_current(&self) -> Infallible {
        let mut refused = None;
        loop {
            tokio::time::sleep(LOOK_PAUSE).await;
            let renewed = self.certificate.renew().err().map(|e| e.to_string());
            // Said once, and again when it is another reason.
            if let Some(reason) = renewed.as_ref().filter(|_| renewed != refused) {
                warn!("the certificate is not renewed: {reason}");
            }
            refused = renewed;
        }
    }
}

impl Certificate {
    fn renew(&self) -> Result<(), SettingsError> {
        let pem = read(&self.files)?;
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        if current.pem == pem {
            return Ok(());
        }
        drop(current);
        let (key, expires) = parse(&self.files, &pem)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Current { pem, key };
        self.metrics.expires(expires);
        info!("there is a new certificate; it is good until {expires}");
        Ok(())
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(current.key.clone())
    }
}

fn read(files: &TlsFiles) -> Result<Pem, SettingsError> {
    let read = |setting, path: &Path| {
        std::fs::read(path).map_err(|e| unusable(setting, format!("{}: {e}", path.display())))
    };
    Ok(Pem {
        chain: read(CERTIFICATE, &files.certificate)?,
        key: read(KEY, &files.key)?,
    })
}

/// The certificate with its key, and when it expires.
fn parse(files: &TlsFiles, pem: &Pem) -> Result<(Arc<CertifiedKey>, DateTime<Utc>), SettingsError> {
    let in_certificate = |reason: String| {
        unusable(
            CERTIFICATE,
            format!("{}: {reason}", files.certificate.display()),
        )
    };
    let in_key = |reason: String| unusable(KEY, format!("{}: {reason}", files.key.display()));
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem.chain).collect();
    let chain = chain.map_err(|e| in_certificate(e.to_string()))?;
    let Some(own) = chain.first() else {
        return Err(in_certificate(
            "there is no certificate in it (PEM)".to_owned(),
        ));
    };
    let (_, parsed) =
        x509_parser::parse_x509_certificate(own).map_err(|e| in_certificate(e.to_string()))?;
    let expires = DateTime::from_timestamp(parsed.validity().not_after.timestamp(), 0)
        .ok_or_else(|| in_certificate("it has no date of expiry".to_owned()))?;
    let key = PrivateKeyDer::from_pem_slice(&pem.key).map_err(|e| in_key(e.to_string()))?;
    let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
        .map_err(|e| in_key(format!("it does not fit the certificate: {e}")))?;
    Ok((Arc::new(key), expires))
}

fn unusable(setting: &'static str, reason: String) -> SettingsError {
    SettingsError::Invalid {
        setting: setting.to_owned(),
        problem: format!("cannot be used: {reason}"),
    }
}
