//! State of the reports: who may send them, how many, and where they go.

use std::{
    hash::{BuildHasher, RandomState},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use governor::{
    DefaultKeyedRateLimiter, Quota,
    clock::{Clock, DefaultClock},
};

use crate::{
    catalog::Catalog, http::auth::Clients, metrics::LaunchMetrics, settings::ReportsConfig,
};

/// Tokens that are remembered before idle ones are forgotten.
const MANY: usize = 10_000;

/// What reports are taken with.
pub(crate) struct Reports {
    pub(super) catalog: Catalog,
    pub(super) clients: Arc<Clients>,
    pub(super) accept: bool,
    /// Of one store in an hour.
    pub(super) per_store: u32,
    pub(super) tokens: Tokens,
    pub(super) metrics: LaunchMetrics,
}

impl Reports {
    pub(crate) fn new(config: &ReportsConfig, catalog: Catalog, clients: Arc<Clients>) -> Self {
        Self {
            catalog,
            clients,
            accept: config.accept,
            per_store: config.per_store,
            tokens: Tokens::new(config.per_token),
            metrics: LaunchMetrics::new(),
        }
    }
}

/// How many reports came with each token. Tokens are remembered by a number that means nothing to another process.
pub(super) struct Tokens {
    limiter: DefaultKeyedRateLimiter<u64>,
    numbers: RandomState,
}

impl Tokens {
    fn new(per_hour: u32) -> Self {
        let quota = Quota::per_hour(NonZeroU32::new(per_hour).unwrap_or(NonZeroU32::MIN));
        Self {
            limiter: DefaultKeyedRateLimiter::keyed(quota),
            numbers: RandomState::new(),
        }
    }

    /// Counts a report that comes with `token`; the error is how long it should have waited.
    pub(super) fn check(&self, token: &str) -> Result<(), Duration> {
        if self.limiter.len() > MANY {
            self.limiter.retain_recent();
        }
        let checked = self.limiter.check_key(&self.numbers.hash_one(token));
        checked.map_err(|early| early.wait_time_from(DefaultClock::default().now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_sends_too_many_is_told_when_to_come_back_and_others_are_not() {
        let tokens = Tokens::new(3);
        assert!((0..3).all(|_| tokens.check("a").is_ok()));
        let wait = tokens.check("a").unwrap_err();
        assert!(
            wait > Duration::from_secs(60) && wait <= Duration::from_secs(3_600),
            "{wait:?}"
        );
        tokens.check("b").unwrap();
    }
}
