//! Decides when to send keepalives, which say how long the token is still valid.

use crate::auth::now;
use crate::hash::mix;
use std::time::Duration;
use tokio::time::Instant;

/// The schedule of `token_expires_in` lines of one stream: every interval ± 10 %, one more an interval before the
/// token expires, and a 0 when it has (recorded from powersync-service 1.25.0, where the interval is 20 s).
#[derive(Debug)]
pub(crate) struct Keepalive {
    interval: Duration,
    /// Seconds since 1970.
    expires_at: f64,
    next: Instant,
    warned: bool,
    random: u64,
}

impl Keepalive {
    pub(crate) fn new(interval: Duration, expires_at: f64) -> Self {
        let mut keepalive = Self {
            interval,
            expires_at,
            next: Instant::now(),
            warned: false,
            random: expires_at.to_bits(),
        };
        keepalive.warned = keepalive.seconds_left() <= interval.as_secs_f64();
        keepalive.schedule();
        keepalive
    }

    /// When [`Keepalive::due`] should be asked again.
    pub(crate) fn wake_at(&self) -> Instant {
        let left = self.seconds_left();
        let until = if self.warned {
            left
        } else {
            left - self.interval.as_secs_f64()
        };
        // Rounding up by a millisecond spares a wake-up just before the moment.
        let until = Duration::try_from_secs_f64(until.max(0.0) + 0.001).unwrap_or(Duration::MAX);
        Instant::now()
            .checked_add(until)
            .map_or(self.next, |instant| instant.min(self.next))
    }

    /// The number of a line that is due, in whole seconds; 0 is the last.
    pub(crate) fn due(&mut self) -> Option<u64> {
        let left = self.seconds_left();
        if left <= 0.0 {
            return Some(0);
        }
        let warn = !self.warned && left <= self.interval.as_secs_f64();
        if !warn && Instant::now() < self.next {
            return None;
        }
        self.warned |= warn;
        self.schedule();
        Some(left.ceil() as u64)
    }

    fn schedule(&mut self) {
        self.random = mix(self.random.wrapping_add(1));
        let spread = 0.9 + 0.2 * (self.random >> 11) as f64 / (1_u64 << 53) as f64;
        self.next = Instant::now() + self.interval.mul_f64(spread);
    }

    fn seconds_left(&self) -> f64 {
        self.expires_at - now()
    }
}
