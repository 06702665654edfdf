//! Public keys that a backend or a provider of logins publishes as a JWK set: fetched when they are needed, cached while they are fresh.

use std::{
    sync::{Arc, PoisonError, RwLock, RwLockWriteGuard},
    time::{Duration, Instant},
};

use seedbed_protocol::process::outbound;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use url::Url;

use super::{
    fetch::{FetchError, read},
    key::Key,
    published::published_key,
};
use crate::http::problem::Problem;

/// After this, keys are fetched again.
const FRESH: Duration = Duration::from_secs(300);

/// Keys are not fetched more often, whatever unknown keys tokens name.
const FETCH_PAUSE: Duration = Duration::from_secs(5);

/// How long the backend has for its answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The largest answer that is read.
const MAX_BYTES: usize = 1024 * 1024;

/// A JWK set at a URL.
#[derive(Clone)]
pub(in crate::http) struct Jwks(Arc<Inner>);

struct Inner {
    url: Url,
    /// The setting that leads there.
    setting: &'static str,
    max_age: Duration,
    client: reqwest::Client,
    known: RwLock<Known>,
    /// Held during a fetch.
    fetching: Mutex<()>,
}

#[derive(Clone, Default)]
struct Known {
    keys: Arc<[Key]>,
    fetched: Option<Instant>,
    tried: Option<Instant>,
}

impl Known {
    fn names(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid.as_deref() == Some(kid))
    }

    fn is_younger_than(&self, age: Duration) -> bool {
        self.fetched.is_some_and(|then| then.elapsed() < age)
    }

    fn was_tried(&self) -> bool {
        self.tried.is_some_and(|then| then.elapsed() < FETCH_PAUSE)
    }
}

impl Jwks {
    /// The keys at `url`, to which `setting` leads, and at no other origin. They stay valid for `max_age` if nobody answers.
    pub(in crate::http) fn new(
        url: Url,
        setting: &'static str,
        max_age: Duration,
    ) -> reqwest::Result<Self> {
        let client = outbound::client().timeout(TIMEOUT).build()?;
        Ok(Self(Arc::new(Inner {
            url,
            setting,
            max_age,
            client,
            known: RwLock::default(),
            fetching: Mutex::default(),
        })))
    }

    /// The keys of the set. If `kid` is not among them, they are fetched first. If they are only old, they are fetched in the
    /// background: a backend that is down must not slow down tokens whose key is known.
    pub(in crate::http) async fn keys(&self, kid: Option<&str>) -> Result<Vec<Key>, Problem> {
        let known = self.known();
        let is_known = kid.map_or(!known.keys.is_empty(), |kid| known.names(kid));
        if !is_known || !known.is_younger_than(self.0.max_age) {
            self.refresh().await;
        } else if !known.is_younger_than(FRESH) && !known.was_tried() {
            let refreshed = self.clone();
            tokio::spawn(async move { refreshed.refresh().await });
        }
        let known = self.known();
        if !known.is_younger_than(self.0.max_age) {
            return Err(Problem::unavailable(
                "tokens cannot be checked now; try again soon",
            ));
        }
        Ok(known.keys.to_vec())
    }

    fn known(&self) -> Known {
        let known = self.0.known.read();
        known.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self) -> RwLockWriteGuard<'_, Known> {
        let known = self.0.known.write();
        known.unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches the keys, unless that was tried a moment ago.
    async fn refresh(&self) {
        let _fetching = self.0.fetching.lock().await;
        if self.known().was_tried() {
            return;
        }
        // Before, so that it counts although the caller goes away; and after, because it may have taken long.
        self.change().tried = Some(Instant::now());
        let fetched = self.fetch().await;
        let mut known = self.change();
        known.tried = Some(Instant::now());
        match fetched {
            Ok(Published { keys, left_out }) => {
                let (setting, count) = (self.0.setting, keys.len());
                tracing::debug!("{count} keys of {setting}; left out: {left_out:?}");
                known.keys = keys.into();
                known.fetched = known.tried;
            }
            Err(reason) => {
                let setting = self.0.setting;
                tracing::error!("the keys of {setting} cannot be fetched: {reason}");
            }
        }
    }

    /// Fetches the keys now.
    pub(in crate::http) async fn fetch(&self) -> Result<Published, String> {
        outbound::refuse_link_local(&self.0.url).map_err(|e| e.to_string())?;
        let asked = async {
            let answer = self.0.client.get(self.0.url.clone()).send().await?;
            read(answer.error_for_status()?, MAX_BYTES).await
        };
        let body = asked.await.map_err(|e: FetchError| e.to_string())?;
        let set: Set = serde_json::from_slice(&body).map_err(|e| format!("no JWK set: {e}"))?;
        let mut published = Published::default();
        for jwk in set.keys {
            match published_key(jwk) {
                Ok(key) => published.keys.push(key),
                Err(reason) => published.left_out.push(reason),
            }
        }
        Ok(published)
    }
}

/// What a backend publishes.
#[derive(Default)]
pub(in crate::http) struct Published {
    pub(in crate::http) keys: Vec<Key>,
    /// Which keys are not used, and why.
    pub(in crate::http) left_out: Vec<String>,
}

/// A JWK set. One key of an unknown kind must not hide the others.
#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}
