//! Pauses between retries: doubled after each failure, capped, and jittered.

use std::{ops::Range, time::Duration};

use rand::Rng;

/// More doublings than this make no difference under any cap, and would overflow.
const MOST_DOUBLINGS: u32 = 16;

/// How the pause between retries grows.
#[derive(Debug, Clone)]
pub struct Backoff {
    /// The pause after the first failure.
    pub first: Duration,
    /// The longest pause, before jitter.
    pub longest: Duration,
    /// A random factor, so that jobs that failed together are not retried together.
    pub jitter: Range<f64>,
}

impl Backoff {
    /// Returns the pauses between attempts at a job, as the worker's settings have them.
    pub fn between_attempts(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            jitter: 0.5..1.5,
        }
    }

    /// Returns the pause after so many failures in a row, of at least 1.
    pub fn pause(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(MOST_DOUBLINGS);
        let pause = self.first.saturating_mul(1 << doublings).min(self.longest);
        pause.mul_f64(rand::rng().random_range(self.jitter.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_are_jittered() {
        let backoff = Backoff {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(1),
            jitter: 0.5..1.5,
        };
        for (failures, millis) in [
            (1, 100.0),
            (2, 200.0),
            (3, 400.0),
            (5, 1000.0),
            (900, 1000.0),
        ] {
            let pause = backoff.pause(failures).as_secs_f64() * 1000.0;
            assert!(
                (millis * 0.5..millis * 1.5).contains(&pause),
                "{failures}: {pause}"
            );
        }
    }
}
