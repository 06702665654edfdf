//! What a report says: words of fixed lists, numbers and versions. Whatever else is in it is refused by its name.

use std::{collections::BTreeMap, time::Duration};

use seedbed_protocol::manifest::{Encoding, Form};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    catalog::{LaunchReport, Outcome, Platform, Reason, Stage},
    http::{
        download::{Encodings, Forms},
        problem::Problem,
    },
};

/// The version of reports.
const VERSION: u8 = 1;

/// The longest stage, in seconds: a phone may sleep for weeks in between.
const MAX_SECONDS: f64 = 10_000_000.0;

/// The most bytes of a launch: more than any file, and exact in JavaScript.
const MAX_BYTES: u64 = 1 << 53;

/// The longest version.
const MAX_VERSION: usize = 32;

/// Whose launch it was.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ReportQuery {
    /// The store.
    #[param(max_length = 255, min_length = 1)]
    pub(super) store_id: String,
}

/// How one first launch of an app went.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Report {
    /// The version of this object.
    #[schema(minimum = 1, maximum = 1)]
    v: u8,
    /// A random UUID (version 4) that is made for this launch and used for nothing else: a report that is sent again counts
    /// once.
    #[schema(value_type = String, format = "uuid")]
    launch: Uuid,
    /// Which package reports.
    platform: Platform,
    outcome: Outcome,
    /// Why no snapshot was installed; null if one was.
    reason: Option<Reason>,
    /// The form that was chosen, if it came to that.
    #[schema(value_type = Option<Forms>)]
    form: Option<Form>,
    /// Its encoding.
    #[schema(value_type = Option<Encodings>)]
    encoding: Option<Encoding>,
    /// Bytes that arrived.
    #[schema(minimum = 0, maximum = 9_007_199_254_740_992_i64)]
    bytes: u64,
    /// How often the download was resumed.
    #[serde(default)]
    #[schema(value_type = i64, minimum = 0, maximum = 4_294_967_295_i64)]
    resumes: u32,
    /// How long each stage took.
    #[schema(value_type = Seconds)]
    seconds: BTreeMap<Stage, f64>,
    /// The SDK's version, such as `1.14.0`. Of each version, what comes after digits and dots is checked and not kept.
    #[schema(
        max_length = 32,
        pattern = "^[0-9]{1,6}([.][0-9]{1,6}){0,3}([-+/][0-9A-Za-z.+-]{1,24})?$"
    )]
    sdk: Option<String>,
    /// The package's version.
    #[schema(
        max_length = 32,
        pattern = "^[0-9]{1,6}([.][0-9]{1,6}){0,3}([-+/][0-9A-Za-z.+-]{1,24})?$"
    )]
    package: Option<String>,
    /// The core extension's version.
    #[schema(
        max_length = 32,
        pattern = "^[0-9]{1,6}([.][0-9]{1,6}){0,3}([-+/][0-9A-Za-z.+-]{1,24})?$"
    )]
    core: Option<String>,
}

/// Seconds of each stage that the launch came to.
#[derive(ToSchema)]
#[schema(as = StageSeconds)]
#[expect(dead_code, reason = "only describes")]
struct Seconds {
    #[schema(minimum = 0, maximum = 10_000_000)]
    waiting: Option<f64>,
    #[schema(minimum = 0, maximum = 10_000_000)]
    downloading: Option<f64>,
    #[schema(minimum = 0, maximum = 10_000_000)]
    unpacking: Option<f64>,
    #[schema(minimum = 0, maximum = 10_000_000)]
    finishing: Option<f64>,
}

impl Report {
    /// Reads the body of a request.
    pub(super) fn read(body: Map<String, Value>) -> Result<LaunchReport, Problem> {
        let report = Self::deserialize(Value::Object(body))
            .map_err(|error| Problem::invalid(format!("the report: {error}")))?;
        report.checked()
    }

    fn checked(self) -> Result<LaunchReport, Problem> {
        if self.v != VERSION {
            return Err(Problem::invalid(format!(
                "v: reports of version {VERSION} are taken here"
            )));
        }
        if self.launch.get_version_num() != 4 {
            return Err(Problem::invalid(
                "launch: must be a random UUID (version 4), since others tell the time or the machine",
            ));
        }
        if self.bytes > MAX_BYTES {
            return Err(Problem::invalid(format!(
                "bytes: must be at most {MAX_BYTES}"
            )));
        }
        let mut stages = BTreeMap::new();
        for (stage, seconds) in self.seconds {
            if !(0.0..=MAX_SECONDS).contains(&seconds) {
                return Err(Problem::invalid(format!(
                    "seconds.{}: must be 0 to {MAX_SECONDS}",
                    stage.name()
                )));
            }
            stages.insert(stage, Duration::from_secs_f64(seconds));
        }
        Ok(LaunchReport {
            launch: self.launch,
            platform: self.platform,
            outcome: self.outcome,
            reason: self.reason,
            form: self.form,
            encoding: self.encoding,
            bytes: self.bytes,
            resumes: self.resumes,
            stages,
            sdk: version("sdk", self.sdk)?,
            package: version("package", self.package)?,
            core: version("core", self.core)?,
        })
    }
}

/// The digits and dots that a version begins with. The rest may be a name, and is only checked.
fn version(field: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    let Some(text) = text else {
        return Ok(None);
    };
    let numbers = text.split(['-', '+', '/']).next().unwrap_or_default();
    let rest = text.get(numbers.len() + 1..);
    let parts: Vec<&str> = numbers.split('.').collect();
    let are_numbers = parts.iter().all(|part| {
        (1..=6).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    });
    let is_rest = |rest: &str| {
        (1..=24).contains(&rest.len())
            && rest
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".+-".contains(&byte))
    };
    let has_rest = text.len() > numbers.len();
    let fits = text.len() <= MAX_VERSION
        && parts.len() <= 4
        && are_numbers
        && (!has_rest || rest.is_some_and(is_rest));
    if fits {
        return Ok(Some(numbers.to_owned()));
    }
    Err(Problem::invalid(format!(
        "{field}: must be a version such as 1.2.3 or 1.2.3-beta.4, of at most {MAX_VERSION} characters"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_version_the_numbers_are_kept_and_what_is_none_is_refused() {
        let kept = |text: &str| version("sdk", Some(text.to_owned())).map(Option::unwrap);
        for (text, expected) in [
            ("1.2.3", "1.2.3"),
            ("0.5.3/8f2a4bc1", "0.5.3"),
            ("1.0.0-beta.4", "1.0.0"),
            ("2", "2"),
        ] {
            assert_eq!(kept(text).unwrap(), expected);
        }
        for text in [
            "",
            ".",
            "1.",
            "v1",
            "1.2.3.4.5",
            "1 2",
            "1.2.3-",
            "1-ünï",
            "1.2.3-a b",
            "1234567",
            "anna@example.com",
            "1.2.3-0123456789012345678901234567",
        ] {
            assert!(kept(text).is_err(), "{text}");
        }
        assert_eq!(version("sdk", None).unwrap(), None);
    }
}
