//! Signs URLs of Azure blobs with the account's key. object_store does that too, but its signatures begin now, which a
//! service whose clock is behind refuses, and cover the address as it is encoded, where Azure decodes it first.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use url::Url;

/// How far in the past a signature begins. Azure asks for it, because clocks differ
/// (<https://learn.microsoft.com/azure/storage/common/storage-sas-overview#best-practices-when-using-sas>).
const BEGINS_EARLIER: TimeDelta = TimeDelta::minutes(15);

/// The version of the service whose rules the signature follows.
const VERSION: &str = "2023-11-03";

/// An account and its key.
#[derive(Clone)]
pub(in crate::objects) struct SharedKey {
    account: String,
    key: Vec<u8>,
}

impl std::fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedKey").finish_non_exhaustive()
    }
}

impl SharedKey {
    /// A key in base64, as Azure shows it; `None` if it is none.
    pub(super) fn new(account: String, key: &str) -> Option<Self> {
        let key = STANDARD.decode(key).ok()?;
        Some(Self { account, key })
    }

    /// Returns the blob at `url` as anyone can read it for `lifetime` from `now`.
    pub(in crate::objects) fn sign(
        &self,
        mut url: Url,
        now: DateTime<Utc>,
        lifetime: Duration,
    ) -> Url {
        url.set_query(None);
        let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let (starts, expires) = (time(now - BEGINS_EARLIER), time(now + lifetime));
        // In this order, empty where nothing is asked for:
        // https://learn.microsoft.com/rest/api/storageservices/create-service-sas#version-2020-12-06-and-later
        let signed = [
            "r",
            &starts,
            &expires,
            &self.resource(&url),
            "",
            "",
            "",
            VERSION,
            "b",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
        ];
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("any length is a key");
        mac.update(signed.join("\n").as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        url.query_pairs_mut()
            .append_pair("sv", VERSION)
            .append_pair("sr", "b")
            .append_pair("sp", "r")
            .append_pair("st", &starts)
            .append_pair("se", &expires)
            .append_pair("sig", &signature);
        url
    }

    /// What is signed of the address: service, account, container and blob, decoded. The account stands in the host, or
    /// where that is an address or a domain of one's own, first in the path or nowhere.
    fn resource(&self, url: &Url) -> String {
        let path = decoded(url.path());
        let in_path = format!("/{}/", self.account);
        let host = url.host_str().unwrap_or_default();
        let in_host = host.split('.').next() == Some(&self.account);
        if path.starts_with(&in_path) && !in_host {
            return format!("/blob{path}");
        }
        format!("/blob/{}{path}", self.account)
    }
}

/// Decodes `%20` and its like.
fn decoded(path: &str) -> String {
    // A form would also turn + into a space, which a path does not.
    let pair = format!("={}", path.replace('+', "%2B").replace('&', "%26"));
    let mut pairs = url::form_urlencoded::parse(pair.as_bytes());
    pairs
        .next()
        .map_or_else(String::new, |(_, text)| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SharedKey {
        SharedKey::new("shop".to_owned(), "c2VjcmV0").unwrap()
    }

    #[test]
    fn what_is_signed_is_the_decoded_name_of_the_blob() {
        for (url, resource) in [
            (
                "https://shop.blob.core.windows.net/c/a/b",
                "/blob/shop/c/a/b",
            ),
            ("http://127.0.0.1:10000/shop/c/a", "/blob/shop/c/a"),
            ("https://files.example.com/c/a", "/blob/shop/c/a"),
            (
                "https://shop.blob.core.windows.net/shop/a",
                "/blob/shop/shop/a",
            ),
            (
                "https://shop.blob.core.windows.net/c/Z%C3%BCrich%20%26%20Bern+%2525",
                "/blob/shop/c/Zürich & Bern+%25",
            ),
        ] {
            assert_eq!(key().resource(&Url::parse(url).unwrap()), resource);
        }
    }

    #[test]
    fn a_signature_has_begun_before_it_is_handed_out() {
        let now = Utc::now();
        let url = Url::parse("https://shop.blob.core.windows.net/c/a?x=y").unwrap();
        let signed = key().sign(url, now, Duration::from_secs(60));
        let pairs: std::collections::HashMap<_, _> = signed.query_pairs().into_owned().collect();
        let at = |name: &str| DateTime::parse_from_rfc3339(&pairs[name]).unwrap();
        assert!(now - at("st").to_utc() >= TimeDelta::minutes(5));
        assert!(at("se").to_utc() - now > TimeDelta::seconds(58));
        assert_eq!((pairs["sp"].as_str(), pairs["sr"].as_str()), ("r", "b"));
        assert!(!pairs.contains_key("x"));
    }
}
