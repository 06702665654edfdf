//! What `seedbed plan` computes with.

use std::time::Duration;

use clap::Args;
use indicatif::HumanCount;

#[derive(Debug, Args)]
pub(in crate::cli) struct PlanArgs {
    /// Stores
    #[arg(long, value_name = "N", value_parser = from_to::<1, 10_000_000>)]
    pub(in crate::cli) stores: Option<u64>,
    /// Rows of a store, on average
    #[arg(long, value_name = "N", value_parser = from_to::<0, 100_000_000>)]
    pub(in crate::cli) rows: Option<u64>,
    /// Rows of the largest store
    #[arg(long, value_name = "N", value_parser = from_to::<0, 1_000_000_000>)]
    pub(in crate::cli) largest_store: Option<u64>,
    /// Bytes of a SQLite file for a row [default: as in the catalog, or 1139]
    #[arg(long, value_name = "BYTES", value_parser = from_to::<1, 1_000_000>)]
    pub(in crate::cli) row_bytes: Option<u64>,
    /// Stores that change from one sweep to the next [default: as in the last sweeps, or 20%]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(in crate::cli) changed_stores: Option<f64>,
    /// Rows that have changed in such a store [default: as in the last sweeps, or 1%]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(in crate::cli) changed_rows: Option<f64>,
    /// From the start of one sweep to that of the next [default: as the last sweeps, or 1d]
    #[arg(long, value_parser = positive_duration)]
    pub(in crate::cli) every: Option<Duration>,
    /// How long a sweep may take
    #[arg(long, default_value = "1h", value_parser = positive_duration)]
    pub(in crate::cli) within: Duration,
    /// First launches of apps in a month
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = from_to::<0, 1_000_000_000>)]
    pub(in crate::cli) first_launches: u64,
    /// The price of a core with its memory and disk, for an hour [default: 0.05]
    #[arg(long, value_name = "PRICE", value_parser = price)]
    pub(in crate::cli) core_hour: Option<f64>,
    /// The price of a GiB of object storage, for a month [default: 0.023]
    #[arg(long, value_name = "PRICE", value_parser = price)]
    pub(in crate::cli) gib_month: Option<f64>,
    /// The price of 1,000 objects that are written [default: 0.005]
    #[arg(long, value_name = "PRICE", value_parser = price)]
    pub(in crate::cli) thousand_puts: Option<f64>,
    /// The price of a GiB that devices download [default: 0.09]
    #[arg(long, value_name = "PRICE", value_parser = price)]
    pub(in crate::cli) gib_out: Option<f64>,
}

/// The longest time that is planned with.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// Reads a number that means something: what follows from larger ones does not fit into any answer.
fn from_to<const LEAST: u64, const MOST: u64>(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(number) if (LEAST..=MOST).contains(&number) => Ok(number),
        _ => Err(format!(
            "it must be a whole number from {LEAST} to {}",
            HumanCount(MOST)
        )),
    }
}

/// Reads `20%` or `0.2`.
fn share(text: &str) -> Result<f64, String> {
    let share = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse().map(|percent: f64| percent / 100.0),
        None => text.parse(),
    };
    match share {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("it must be a share from 0 to 1, or a percentage such as 20%".to_owned()),
    }
}

fn price(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(price) if (0.0..=1e6).contains(&price) => Ok(price),
        _ => Err("it must be a price such as 0.05, and at most 1,000,000".to_owned()),
    }
}

fn positive_duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration.is_zero() => Err("it must be longer than 0 s".to_owned()),
        Ok(duration) if duration > LONGEST => Err("it must be at most 366d".to_owned()),
        duration => duration.map_err(|e| e.to_string()),
    }
}
