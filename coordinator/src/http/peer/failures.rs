//! Slows down whoever guesses: after a number of wrong tokens, an address is asked to wait, whatever it shows.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::network::network;

/// So many may come at once.
const BURST: f64 = 30.0;

/// One is forgiven in so many seconds.
const FORGIVEN_IN: f64 = 2.0;

/// Addresses that are remembered before those without a failure are looked for.
const SWEEP_AT: usize = 10_000;

/// Failures of each address.
pub(crate) struct Failures {
    is_on: bool,
    levels: Mutex<HashMap<IpAddr, Level>>,
}

#[derive(Clone, Copy)]
struct Level {
    failures: f64,
    at: Instant,
}

impl Level {
    fn at(self, now: Instant) -> f64 {
        let forgiven = (now - self.at).as_secs_f64() / FORGIVEN_IN;
        (self.failures - forgiven).max(0.0)
    }
}

impl Failures {
    /// Counts failures, or with `false` none.
    pub(crate) fn new(is_on: bool) -> Self {
        Self {
            is_on,
            levels: Mutex::default(),
        }
    }

    /// Whether an address may try; otherwise how long it has to wait.
    pub(crate) fn check(&self, address: Option<IpAddr>) -> Result<(), Duration> {
        let Some(address) = address.filter(|_| self.is_on) else {
            return Ok(());
        };
        let levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        let level = levels.get(&network(address));
        let over = level.map_or(0.0, |level| level.at(Instant::now()) - BURST + 1.0);
        match over > 0.0 {
            true => Err(Duration::from_secs_f64(over * FORGIVEN_IN)),
            false => Ok(()),
        }
    }

    /// Counts a failure.
    pub(crate) fn count(&self, address: Option<IpAddr>) {
        let Some(address) = address.filter(|_| self.is_on) else {
            return;
        };
        let now = Instant::now();
        let mut levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        if levels.len() >= SWEEP_AT {
            levels.retain(|_, level| level.at(now) > 0.0);
        }
        let level = levels.entry(network(address)).or_insert(Level {
            failures: 0.0,
            at: now,
        });
        *level = Level {
            failures: level.at(now) + 1.0,
            at: now,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_fails_too_often_waits_and_others_do_not() {
        let failures = Failures::new(true);
        let (guesser, other) = (Some([127, 0, 0, 1].into()), Some([127, 0, 0, 2].into()));
        for _ in 0..BURST as u32 {
            failures.check(guesser).unwrap();
            failures.count(guesser);
        }
        let wait = failures.check(guesser).unwrap_err();
        assert!(wait <= Duration::from_secs_f64(FORGIVEN_IN), "{wait:?}");
        failures.check(other).unwrap();
        let off = Failures::new(false);
        (0..100).for_each(|_| off.count(guesser));
        off.check(guesser).unwrap();
    }
}
