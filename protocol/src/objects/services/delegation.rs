//! Keys that Azure lends to an identity, to sign URLs with (user delegation keys). One serves for hours.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use object_store::{
    Error,
    azure::{AzureCredential, AzureCredentialProvider},
};
use tokio::sync::Mutex;
use url::Url;

use crate::{error::chain, objects::error::NOT_DELEGATED};

/// How far in the past a signature begins. Azure asks for it, because clocks differ
/// (<https://learn.microsoft.com/azure/storage/common/storage-sas-overview#best-practices-when-using-sas>).
pub(super) const BEGINS_EARLIER: TimeDelta = TimeDelta::minutes(15);

/// The version of the service whose rules requests and signatures follow.
pub(super) const VERSION: &str = "2023-11-03";

/// How long a key is asked for at least. Azure lends it for seven days at most, from when it begins.
const VALIDITY: TimeDelta = TimeDelta::hours(12);
const MOST: TimeDelta = TimeDelta::days(7);

/// How long Azure has to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Asks for keys, and keeps the last.
pub(in crate::objects) struct Delegation {
    credentials: AzureCredentialProvider,
    client: reqwest::Client,
    service: Url,
    /// The last key, and until when it is used.
    last: Mutex<Option<(DelegatedKey, DateTime<Utc>)>>,
}

/// A key, and what a signature with it has to say of it.
#[derive(Clone)]
pub(super) struct DelegatedKey {
    pub(super) value: Vec<u8>,
    object: String,
    tenant: String,
    starts: String,
    expires: String,
    service: String,
    version: String,
}

impl DelegatedKey {
    /// What says whose key it is, by the names of the query, in the order in which it is signed.
    pub(super) fn fields(&self) -> [(&'static str, &str); 6] {
        [
            ("skoid", &self.object),
            ("sktid", &self.tenant),
            ("skt", &self.starts),
            ("ske", &self.expires),
            ("sks", &self.service),
            ("skv", &self.version),
        ]
    }

    /// Reads the answer to Get User Delegation Key.
    fn parse(xml: &str) -> Option<Self> {
        let element = |name: &str| {
            let (_, rest) = xml.split_once(&format!("<{name}>"))?;
            Some(rest.split_once(&format!("</{name}>"))?.0.to_owned())
        };
        Some(Self {
            value: STANDARD.decode(element("Value")?).ok()?,
            object: element("SignedOid")?,
            tenant: element("SignedTid")?,
            starts: element("SignedStart")?,
            expires: element("SignedExpiry")?,
            service: element("SignedService")?,
            version: element("SignedVersion")?,
        })
    }
}

impl Delegation {
    /// For the account at `service`; `None` if there is no client for it.
    pub(super) fn new(credentials: AzureCredentialProvider, service: Url) -> Option<Self> {
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            // A token goes nowhere but to the service itself.
            .redirect(reqwest::redirect::Policy::none());
        Some(Self {
            credentials,
            client: client.build().ok()?,
            service,
            last: Mutex::default(),
        })
    }

    /// Returns a key that signs for `lifetime` from `now`; `None` if the credentials are no identity's.
    pub(super) async fn key(
        &self,
        now: DateTime<Utc>,
        lifetime: Duration,
    ) -> object_store::Result<Option<DelegatedKey>> {
        let credential = self.credentials.get_credential().await?;
        let AzureCredential::BearerToken(token) = credential.as_ref() else {
            return Ok(None);
        };
        let lifetime = TimeDelta::from_std(lifetime).unwrap_or(MOST);
        let mut last = self.last.lock().await;
        if let Some((key, until)) = &*last
            && now + lifetime < *until
        {
            return Ok(Some(key.clone()));
        }
        let starts = now - BEGINS_EARLIER;
        let expires = (now + VALIDITY.max(lifetime * 2)).min(starts + MOST);
        let key = self.ask(token, starts, expires).await?;
        *last = Some((key.clone(), expires));
        Ok(Some(key))
    }

    /// <https://learn.microsoft.com/rest/api/storageservices/get-user-delegation-key>
    async fn ask(
        &self,
        token: &str,
        starts: DateTime<Utc>,
        expires: DateTime<Utc>,
    ) -> object_store::Result<DelegatedKey> {
        let failed = |source: String| Error::Generic {
            store: "MicrosoftAzure",
            source: source.into(),
        };
        let mut url = self.service.clone();
        url.set_query(Some("restype=service&comp=userdelegationkey"));
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><KeyInfo><Start>{}</Start><Expiry>{}</Expiry></KeyInfo>",
            time(starts),
            time(expires)
        );
        let asked = async {
            let request = self.client.post(url).bearer_auth(token).body(body);
            let request = request
                .header("x-ms-version", VERSION)
                .header("content-type", "application/xml");
            let answer = request.send().await?;
            Ok::<_, reqwest::Error>((answer.status(), answer.text().await?))
        };
        let (status, said) = asked.await.map_err(|e| failed(chain(&e.without_url())))?;
        if matches!(status.as_u16(), 401 | 403) {
            return Err(failed(format!("{NOT_DELEGATED}: {status} {said}")));
        }
        if !status.is_success() {
            return Err(failed(format!("no key to sign with: {status} {said}")));
        }
        DelegatedKey::parse(&said)
            .ok_or_else(|| failed("the answer holds no key to sign with".to_owned()))
    }
}

/// A time as Azure writes it.
pub(super) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
