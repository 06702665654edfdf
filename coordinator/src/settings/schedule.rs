//! `serve.schedule`: when runs start without a command.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use croner::Cron;
use serde::{Deserialize, Deserializer, de};

/// Times in cron's notation, in UTC.
#[derive(Debug, Clone)]
pub struct Schedule(Cron);

/// A text that is not a schedule.
#[derive(Debug, thiserror::Error)]
#[error(
    "{text:?} is not a schedule such as \"0 * * * *\" (minute, hour, day, month, weekday): {reason}"
)]
pub struct InvalidSchedule {
    text: String,
    reason: String,
}

impl Schedule {
    /// Returns the first time after `time`; `None` if there is none.
    pub fn next(&self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.0.find_next_occurrence(&time, false).ok()
    }
}

impl FromStr for Schedule {
    type Err = InvalidSchedule;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let schedule = Cron::from_str(text).map(Self);
        let invalid = |reason: String| InvalidSchedule {
            text: text.to_owned(),
            reason,
        };
        let schedule = schedule.map_err(|error| invalid(error.to_string()))?;
        if schedule.next(Utc::now()).is_none() {
            return Err(invalid("it never comes".to_owned()));
        }
        Ok(schedule)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_says_when_it_is_next() {
        let hourly: Schedule = "0 * * * *".parse().unwrap();
        let time = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        assert_eq!(
            hourly.next(time("2026-01-01T10:00:00Z")),
            Some(time("2026-01-01T11:00:00Z"))
        );
        assert_eq!(
            hourly.next(time("2026-12-31T23:59:59Z")),
            Some(time("2027-01-01T00:00:00Z"))
        );
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for text in ["", "every hour", "61 * * * *", "0 0 30 2 *"] {
            let refused = text.parse::<Schedule>().unwrap_err().to_string();
            assert!(refused.contains("not a schedule"), "{refused}");
        }
    }
}
