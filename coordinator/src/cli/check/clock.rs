//! Checks that the clocks agree: tokens, leases, deadlines and retention depend on them.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use seedbed_protocol::process::outbound;

use super::report::Checked;
use crate::settings::Settings;

/// The smallest difference that is reported.
const NOTABLE: TimeDelta = TimeDelta::seconds(5);

/// The smallest difference that is an error: PowerSync refuses tokens from the future.
const HARMFUL: TimeDelta = TimeDelta::seconds(60);

/// How long the PowerSync service has to tell the time.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Compares this machine's clock with the others: that of PowerSync, and how far those of the object storage and of the
/// catalog were found to be ahead. One that does not answer is reported by the check of its part.
pub(super) async fn check(
    settings: &Settings,
    objects: Option<TimeDelta>,
    catalog: Option<TimeDelta>,
) -> Checked<String> {
    let clocks = [
        ("PowerSync", powersync(settings).await),
        ("the object store", objects),
        ("the catalog", catalog),
    ];
    let (mut told, mut wrong) = (Vec::new(), Vec::new());
    for (whose, ahead) in clocks {
        let Some(ahead) = ahead else {
            continue;
        };
        let sentence = difference(whose, ahead);
        if ahead.abs() > HARMFUL {
            wrong.push(sentence);
        } else {
            told.push(sentence);
        }
    }
    if !wrong.is_empty() {
        return Err(format!(
            "{}: tokens are refused, and leases and retention go by the wrong time; set the clocks by NTP",
            wrong.join(", ")
        )
        .into());
    }
    if told.is_empty() {
        return Ok("no other clock to compare this machine's with".to_owned());
    }
    Ok(told.join(", "))
}

fn difference(whose: &str, ahead: TimeDelta) -> String {
    let seconds = ahead.num_seconds().abs();
    match ahead {
        _ if ahead.abs() <= NOTABLE => format!("{whose} agrees"),
        _ if ahead > TimeDelta::zero() => format!("{whose} is {seconds} s ahead of this machine"),
        _ => format!("{whose} is {seconds} s behind this machine"),
    }
}

/// How far a clock is ahead that was read in between.
async fn ahead(
    reading: impl Future<Output = Option<DateTime<Utc>>>,
    resolution: TimeDelta,
) -> Option<TimeDelta> {
    let before = Utc::now();
    let read = reading.await?;
    Some(difference_of(before, read, resolution))
}

/// How far a clock is ahead that was read since `before`.
pub(super) fn difference_of(
    before: DateTime<Utc>,
    read: DateTime<Utc>,
    resolution: TimeDelta,
) -> TimeDelta {
    let after = Utc::now();
    // Within the time that the reading took, and what the clock does not show, nothing is known.
    if read + resolution < before {
        return read + resolution - before;
    }
    (read - after).max(TimeDelta::zero())
}

async fn powersync(settings: &Settings) -> Option<TimeDelta> {
    let url = settings.powersync.endpoint.trim_end_matches('/');
    if url.is_empty() {
        return None;
    }
    let reading = async {
        let client = outbound::client().timeout(TIMEOUT).build().ok()?;
        // Any answer has a date.
        let answer = client
            .get(format!("{url}/probes/liveness"))
            .send()
            .await
            .ok()?;
        let date = answer.headers().get(reqwest::header::DATE)?.to_str().ok()?;
        Some(DateTime::parse_from_rfc2822(date).ok()?.to_utc())
    };
    ahead(reading, TimeDelta::seconds(1)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_the_reading_does_not_explain_is_a_difference() {
        let read = async |seconds| {
            let time = Utc::now() + TimeDelta::seconds(seconds);
            let difference = ahead(async { Some(time) }, TimeDelta::seconds(1)).await;
            difference.unwrap().num_seconds()
        };
        assert_eq!(read(0).await, 0);
        assert!((9..=10).contains(&read(10).await));
        assert!((-10..=-8).contains(&read(-10).await));
    }

    #[test]
    fn a_difference_says_who_is_ahead() {
        let said = |seconds| difference("it", TimeDelta::seconds(seconds));
        assert_eq!(said(-5), "it agrees");
        assert_eq!(said(6), "it is 6 s ahead of this machine");
        assert_eq!(said(-90), "it is 90 s behind this machine");
    }
}
