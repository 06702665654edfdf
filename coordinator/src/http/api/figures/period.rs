//! The period that figures are asked for.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::http::problem::Problem;

/// The longest period, in days.
const MAX_DAYS: u32 = 366;

/// The period unless the request says another.
const DEFAULT_DAYS: u32 = 30;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Period {
    /// How many days, until now.
    #[param(minimum = 1, maximum = 366)]
    days: Option<u32>,
}

impl Period {
    /// Returns how many days it has.
    pub(super) fn days(&self) -> Result<u32, Problem> {
        let days = self.days.unwrap_or(DEFAULT_DAYS);
        if !(1..=MAX_DAYS).contains(&days) {
            return Err(Problem::invalid(format!("days must be 1 to {MAX_DAYS}")));
        }
        Ok(days)
    }

    /// Returns when it began, if it ends at `now`.
    pub(super) fn since(&self, now: DateTime<Utc>) -> Result<DateTime<Utc>, Problem> {
        Ok(now - TimeDelta::days(self.days()?.into()))
    }
}
