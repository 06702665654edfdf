//! Sends one notice: by https, without redirects, never to a link-local address, and to a private one only if that is allowed.

use std::{net::IpAddr, time::Duration};

use chrono::Utc;
use hmac::{Hmac, Mac};
use reqwest::{StatusCode, header};
use seedbed_protocol::{
    digest::hex,
    process::outbound::{self, refuse_link_local},
    settings::Secret,
};
use sha2::Sha256;
use tokio::net::lookup_host;
use url::{Host, Url};

use super::template::body;
use crate::{
    catalog::Notice,
    settings::{NotifyConfig, NotifyTemplate},
};

/// How long one try may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why a notice has not arrived. Says nothing of the URL, which is a secret.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// There is no webhook.
    #[error("notify.webhook is not set: nobody is told of anything")]
    NoWebhook,
    /// It leads to where nothing is sent.
    #[error("notify.webhook leads to {0}; nothing is sent there{1}")]
    Refused(&'static str, &'static str),
    /// Its name cannot be looked up, or it does not answer.
    #[error("notify.webhook does not answer: {0}")]
    Unreachable(&'static str),
    /// It says no.
    #[error("notify.webhook answers {0}")]
    Status(StatusCode),
}

impl NotifyError {
    /// Returns whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NoWebhook | Self::Refused(..) => false,
            Self::Unreachable(_) => true,
            Self::Status(status) => {
                status.is_server_error()
                    || matches!(
                        *status,
                        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
                    )
            }
        }
    }
}

/// Where notices are sent.
pub struct Webhook {
    url: Url,
    template: NotifyTemplate,
    routing_key: Option<Secret>,
    signing_secret: Option<Secret>,
    allow_private: bool,
}

impl Webhook {
    /// Returns that of `config`; `None` if there is none.
    pub fn new(config: &NotifyConfig) -> Option<Self> {
        let url = Url::parse(config.webhook.as_ref()?.expose()).ok()?;
        Some(Self {
            url,
            template: config.template,
            routing_key: config.routing_key.clone(),
            signing_secret: config.signing_secret.clone(),
            allow_private: config.allow_private,
        })
    }

    /// Sends a notice.
    ///
    /// # Errors
    /// [`NotifyError`].
    pub async fn send(&self, notice: &Notice) -> Result<(), NotifyError> {
        let addresses = self.addresses().await?;
        let mut client = outbound::client_without_redirects().timeout(TIMEOUT);
        if let Some(Host::Domain(name)) = self.url.host() {
            // The addresses that were looked at: a name may lead elsewhere the next time.
            client = client.resolve_to_addrs(name, &addresses);
        }
        let client = client
            .build()
            .map_err(|_| NotifyError::Unreachable("there is no client"))?;
        let routing_key = self.routing_key.as_ref().map(Secret::expose);
        let body = body(self.template, notice, routing_key).to_string();
        let mut request = client
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header("seedbed-delivery", header_of(&notice.id))
            .header("seedbed-event", notice.event.name());
        if let Some(secret) = &self.signing_secret {
            let signature = signature(secret, Utc::now().timestamp(), &body);
            request = request.header("seedbed-signature", signature);
        }
        let answer = request.body(body).send().await.map_err(|error| {
            let why = if error.is_timeout() {
                "it takes too long"
            } else if error.is_connect() {
                "no connection is made"
            } else {
                "the connection broke"
            };
            NotifyError::Unreachable(why)
        })?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(NotifyError::Status(status)),
        }
    }

    /// Looks the webhook's host up, and refuses addresses where nothing is sent.
    async fn addresses(&self) -> Result<Vec<std::net::SocketAddr>, NotifyError> {
        let port = self.url.port_or_known_default().unwrap_or(443);
        let addresses: Vec<std::net::SocketAddr> = match self.url.host() {
            Some(Host::Ipv4(address)) => vec![(address, port).into()],
            Some(Host::Ipv6(address)) => vec![(address, port).into()],
            Some(Host::Domain(name)) => {
                let found = tokio::time::timeout(TIMEOUT, lookup_host((name, port))).await;
                let found = found.ok().and_then(Result::ok);
                found
                    .ok_or(NotifyError::Unreachable("its name is not known"))?
                    .collect()
            }
            None => Vec::new(),
        };
        for address in &addresses {
            let mut url = self.url.clone();
            let is_set = url.set_ip_host(address.ip()).is_ok();
            if !is_set || refuse_link_local(&url).is_err() {
                return Err(NotifyError::Refused("a link-local address", ""));
            }
            if !self.allow_private && is_private(address.ip()) {
                let hint = " (notify.allow_private)";
                return Err(NotifyError::Refused("a private address", hint));
            }
        }
        Ok(addresses)
    }
}

/// Whether an address is none of the public internet.
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_broadcast()
                || v4.is_multicast()
                || a == 0
                || (a == 100 && (64..128).contains(&b))
                || (a == 198 && (18..20).contains(&b))
                || a >= 240
        }
        IpAddr::V6(v6) => {
            let [first, second, ..] = v6.segments();
            // 6to4, Teredo and NAT64 lead to addresses of IPv4.
            let leads_on = first == 0x2002
                || (first == 0x2001 && second == 0)
                || (first == 0x64 && second == 0xff9b);
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                || v6.is_multicast()
                || leads_on
        }
    }
}

/// `t=UNIX,v1=HEX`: the HMAC-SHA256 of the time, a dot, and the body.
fn signature(secret: &Secret, time: i64, body: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes());
    let mut mac = mac.expect("HMAC takes keys of any length");
    mac.update(format!("{time}.{body}").as_bytes());
    let tag = hex(&mac.finalize().into_bytes());
    format!("t={time},v1={tag}")
}

/// An id as a header's value: generations are text from elsewhere.
fn header_of(id: &str) -> String {
    let plain = |c: char| if c.is_ascii_graphic() { c } else { '_' };
    id.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_known_in_every_notation() {
        for private in [
            "10.0.0.1",
            "127.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "0.0.0.0",
            "198.18.0.1",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
            "2002:a00:1::",
            "64:ff9b::a00:1",
        ] {
            assert!(is_private(private.parse().unwrap()), "{private}");
        }
        for public in ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "100.128.0.1"] {
            assert!(!is_private(public.parse().unwrap()), "{public}");
        }
    }
}
