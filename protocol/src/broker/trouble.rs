//! What keeps a broker from taking messages, for people: in logs, probes, `seedbed status` and the dashboard.

use std::fmt;

use crate::error::text::visible;

/// How much of a broker's own words is shown.
const MAX_REASON_CHARS: usize = 300;

/// Why messages cannot be published now. It passes, and programs continue by themselves then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// There is no connection; it is being restored.
    Away {
        /// What the last try said.
        reason: String,
    },
    /// The broker refuses what Seedbed needs, until somebody allows it again.
    Refused {
        /// What it refuses.
        reason: String,
    },
    /// The broker is short of memory or disk, and takes no messages until its alarm ends. What it has can be taken.
    Blocked {
        /// What the broker is short of, in its own words.
        reason: String,
    },
}

impl Trouble {
    /// The name of each trouble, for programs.
    pub const NAMES: [&'static str; 3] = ["away", "refused", "blocked"];

    /// Returns the trouble of a lost or missing connection.
    pub fn away(reason: impl ToString) -> Self {
        let reason = shown(&reason.to_string());
        Self::Away { reason }
    }

    /// Returns the trouble of a broker that refuses something for `reason`.
    pub fn refused(reason: impl ToString) -> Self {
        let reason = shown(&reason.to_string());
        Self::Refused { reason }
    }

    /// Returns the trouble of a broker that blocks publishers because of `reason`.
    pub fn blocked(reason: impl ToString) -> Self {
        let reason = shown(&reason.to_string());
        Self::Blocked { reason }
    }

    /// Returns its name for programs, one of [`Self::NAMES`].
    pub fn name(&self) -> &'static str {
        let [away, refused, blocked] = Self::NAMES;
        match self {
            Self::Away { .. } => away,
            Self::Refused { .. } => refused,
            Self::Blocked { .. } => blocked,
        }
    }

    /// Returns the reason.
    pub fn reason(&self) -> &str {
        match self {
            Self::Away { reason } | Self::Refused { reason } | Self::Blocked { reason } => reason,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away { reason } => write!(f, "no connection to the broker: {reason}"),
            Self::Refused { reason } => write!(f, "RabbitMQ refuses what is needed: {reason}"),
            Self::Blocked { reason } => write!(
                f,
                "RabbitMQ takes no messages until its alarm ends ({reason}): give it memory or disk"
            ),
        }
    }
}

/// What a broker says, as one line of bounded length.
fn shown(reason: &str) -> String {
    let bounded: String = reason.chars().take(MAX_REASON_CHARS).collect();
    visible(&bounded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_broker_says_is_one_bounded_line() {
        let long = format!("low on\n\u{1b}[31mmemory{}", "x".repeat(5_000));
        let trouble = Trouble::blocked(long);
        assert!(trouble.reason().starts_with("low on"));
        assert!(!trouble.reason().contains(char::is_control));
        assert!(trouble.reason().chars().count() < MAX_REASON_CHARS + 40);
        assert_eq!(trouble.name(), "blocked");
    }
}
