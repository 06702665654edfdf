//! Signs URLs of Azure blobs, with the account's key or with one that Azure lends to an identity. object_store does that
//! too, but its signatures begin now, which a service whose clock is behind refuses, and cover the address as it is encoded,
//! where Azure decodes it first.

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use url::Url;

use super::delegation::{BEGINS_EARLIER, DelegatedKey, Delegation, VERSION, time};

/// Signs URLs of the blobs of one account.
#[derive(Debug, Clone)]
pub(in crate::objects) struct AzureSigner {
    account: String,
    container: Url,
    key: SigningKey,
}

/// What URLs are signed with.
#[derive(Clone)]
pub(super) enum SigningKey {
    /// The account's key.
    Account(Vec<u8>),
    /// A key that Azure lends to who asks with an identity's token.
    Lent(Arc<Delegation>),
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Account(_) => "Account",
            Self::Lent(_) => "Lent",
        })
    }
}

impl AzureSigner {
    /// Signs for blobs of the container at this address.
    pub(super) fn new(account: String, container: Url, key: SigningKey) -> Self {
        Self {
            account,
            container,
            key,
        }
    }

    /// Returns the address of the container.
    pub(in crate::objects) fn container(&self) -> &Url {
        &self.container
    }

    /// Returns the blob at `url` as anyone can read it for `lifetime` from now; `None` if the credentials are none that
    /// this signs with.
    pub(in crate::objects) async fn sign(
        &self,
        url: &Url,
        lifetime: Duration,
    ) -> object_store::Result<Option<Url>> {
        let now = Utc::now();
        Ok(match &self.key {
            SigningKey::Account(key) => Some(self.signed(url, now, lifetime, key, None)),
            SigningKey::Lent(delegation) => {
                let lent = delegation.key(now, lifetime).await?;
                lent.map(|lent| self.signed(url, now, lifetime, &lent.value, Some(&lent)))
            }
        })
    }

    fn signed(
        &self,
        url: &Url,
        now: DateTime<Utc>,
        lifetime: Duration,
        key: &[u8],
        lent: Option<&DelegatedKey>,
    ) -> Url {
        let (starts, expires) = (time(now - BEGINS_EARLIER), time(now + lifetime));
        let resource = self.resource(url);
        let mut signed = vec!["r", &starts, &expires, &resource];
        let mut query = vec![("sp", "r"), ("st", &starts), ("se", &expires)];
        // In this order, empty where nothing is asked for:
        // https://learn.microsoft.com/rest/api/storageservices/create-service-sas#version-2020-12-06-and-later
        // https://learn.microsoft.com/rest/api/storageservices/create-user-delegation-sas#version-2020-12-06-and-later
        match lent {
            None => signed.push(""),
            Some(lent) => {
                let fields = lent.fields();
                signed.extend(fields.iter().map(|(_, value)| *value));
                signed.extend(["", "", ""]);
                query.extend(fields);
            }
        }
        signed.extend(["", "", VERSION, "b", "", "", "", "", "", "", ""]);
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length is a key");
        mac.update(signed.join("\n").as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        query.extend([("sv", VERSION), ("sr", "b"), ("sig", &signature)]);
        let mut url = url.clone();
        url.set_query(None);
        url.query_pairs_mut().extend_pairs(query);
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
    use chrono::TimeDelta;

    use super::*;

    fn signer() -> AzureSigner {
        let container = Url::parse("https://shop.blob.core.windows.net/c").unwrap();
        let key = SigningKey::Account(b"secret".to_vec());
        AzureSigner::new("shop".to_owned(), container, key)
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
            assert_eq!(signer().resource(&Url::parse(url).unwrap()), resource);
        }
    }

    #[tokio::test]
    async fn a_signature_has_begun_before_it_is_handed_out() {
        let now = Utc::now();
        let url = Url::parse("https://shop.blob.core.windows.net/c/a?x=y").unwrap();
        let signed = signer().sign(&url, Duration::from_secs(60)).await;
        let signed = signed.unwrap().unwrap();
        let pairs: std::collections::HashMap<_, _> = signed.query_pairs().into_owned().collect();
        let at = |name: &str| DateTime::parse_from_rfc3339(&pairs[name]).unwrap();
        assert!(now - at("st").to_utc() >= TimeDelta::minutes(5));
        assert!(at("se").to_utc() - now > TimeDelta::seconds(58));
        assert_eq!((pairs["sp"].as_str(), pairs["sr"].as_str()), ("r", "b"));
        assert!(!pairs.contains_key("x"));
    }
}
