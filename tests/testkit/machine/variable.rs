//! Numbers that the environment sets for benchmarks.

use std::{fmt::Display, str::FromStr};

/// Returns the number that an environment variable is set to, or else the default.
///
/// # Panics
/// When it is set to something else than a number.
pub fn number<T: FromStr<Err: Display>>(variable: &str, default: T) -> T {
    match std::env::var(variable) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|error| panic!("{variable}={text}: {error}")),
        Err(_) => default,
    }
}
