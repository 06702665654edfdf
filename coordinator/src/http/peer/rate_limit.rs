//! Limits how many requests an address may make.

use std::{convert::Infallible, net::IpAddr, num::NonZeroU32, time::Duration};

use governor::{
    DefaultKeyedRateLimiter, Quota,
    clock::{Clock, DefaultClock},
};

use super::network::network;

/// How many times the requests of a second may come at once.
const BURST: u32 = 10;

/// Between two rounds of forgetting idle addresses.
const FORGET_PAUSE: Duration = Duration::from_secs(30);

/// Requests of one address.
pub(crate) struct RateLimit(Option<DefaultKeyedRateLimiter<IpAddr>>);

impl RateLimit {
    pub(crate) fn new(per_second: u32) -> Self {
        let quota = |rate: NonZeroU32| {
            let burst = NonZeroU32::new(rate.get().saturating_mul(BURST)).unwrap_or(rate);
            Quota::per_second(rate).allow_burst(burst)
        };
        let limit = NonZeroU32::new(per_second).map(quota);
        Self(limit.map(DefaultKeyedRateLimiter::keyed))
    }

    /// Counts a request of `address`; the error is how long it should have waited.
    pub(crate) fn check(&self, address: IpAddr) -> Result<(), Duration> {
        let Some(limiter) = &self.0 else {
            return Ok(());
        };
        let checked = limiter.check_key(&network(address));
        checked.map_err(|early| early.wait_time_from(DefaultClock::default().now()))
    }

    /// Forgets idle addresses every so often, so that memory stays bounded.
    pub(crate) async fn keep_forgetting(&self) -> Infallible {
        loop {
            tokio::time::sleep(FORGET_PAUSE).await;
            if let Some(limiter) = &self.0 {
                limiter.retain_recent();
                limiter.shrink_to_fit();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_asks_too_often_is_told_when_to_come_back_and_others_are_not() {
        let limit = RateLimit::new(2);
        let (busy, other) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        let refused = (0..100).find_map(|_| limit.check(busy).err());
        let wait = refused.expect("100 at once are more than twenty");
        assert!(wait <= Duration::from_secs(1), "{wait:?}");
        limit.check(other).unwrap();
        let of = |text: &str| text.parse::<IpAddr>().unwrap();
        while limit.check(of("2001:db8:1:1::1")).is_ok() {}
        assert!(
            limit.check(of("2001:db8:1:1:9::2")).is_err(),
            "the same network"
        );
        limit.check(of("2001:db8:1:2::1")).unwrap();
        while limit.check(of("::ffff:10.0.0.1")).is_ok() {}
        limit.check(of("::ffff:10.0.0.2")).unwrap();
        let none = RateLimit::new(0);
        assert!((0..100).all(|_| none.check(busy).is_ok()));
    }
}
