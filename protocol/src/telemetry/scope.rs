//! The scope that all spans and instruments of Seedbed are in.

use opentelemetry::{global, metrics::Meter};

/// The name of spans' and instruments' scope.
pub const SCOPE: &str = "seedbed";

/// Returns the meter that makes the instruments of this process.
pub fn meter() -> Meter {
    global::meter(SCOPE)
}
