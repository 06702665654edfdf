//! Errors of sync streams: what PowerSync answered, whether to retry, and after how long.

use std::time::Duration;

use reqwest::StatusCode;
use seedbed_protocol::{process::outbound::Redirected, settings::keys::SecretEncoding};
use url::Url;

use super::hints::{hint, passes};

/// Why there is no stream, or why it ended early.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// `powersync.endpoint` is not the URL of a service.
    #[error("powersync.endpoint {endpoint:?} is not an http or https URL: {reason}")]
    Endpoint { endpoint: String, reason: String },
    /// The HTTP client could not be set up.
    #[error("cannot set up the HTTP client: {0}")]
    Client(String),
    /// The service could not be reached.
    #[error("cannot reach PowerSync at {url}: {reason}")]
    Unreachable {
        url: Url,
        /// Every cause, outermost first.
        reason: String,
    },
    /// The service refused the stream.
    #[error("PowerSync at {url} answered {status}{}", refusal(.code.as_deref(), .description, *.status))]
    Refused {
        url: Url,
        status: StatusCode,
        /// PowerSync's error code, such as `PSYNC_S2101`.
        code: Option<String>,
        /// PowerSync's description, or the beginning of the body.
        description: String,
        /// The service's `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// The service redirects to somewhere that is not followed.
    #[error("PowerSync at {url} answered {status}: {reason} as powersync.endpoint")]
    Redirected {
        url: Url,
        status: StatusCode,
        reason: Redirected,
    },
    /// The answer is not a stream: most likely it comes from another server.
    #[error(
        "{url} answered {status} with {content_type:?} instead of a sync stream: is powersync.endpoint right?"
    )]
    NotAStream {
        url: Url,
        status: StatusCode,
        content_type: String,
    },
    /// The connection broke, or the body ended within a line.
    #[error("the sync stream broke off: {0}")]
    Dropped(String),
    /// The service sent nothing for longer than `powersync.idle_timeout`.
    #[error("the sync stream sent nothing for {}", humantime::format_duration(*.0))]
    Idle(Duration),
    /// A line that no PowerSync service sends.
    #[error("the sync stream sent {0}")]
    Malformed(String),
    /// A line above the limit. The next stream would send the same row.
    #[error(
        "the sync stream sent a line of more than {most} bytes; raise powersync.max_line_mib, or make the row smaller"
    )]
    LineTooLong {
        /// `powersync.max_line_mib`, in bytes.
        most: usize,
    },
    /// The service treats the token as expired.
    #[error(
        "PowerSync ended the stream because the token expired; if this happens at once, compare this machine's clock with the service's"
    )]
    TokenExpired,
    /// The job has waited for operations as long as it may.
    #[error("{}no operation has arrived for {} (powersync.give_up_after)", last.as_ref().map(|e| format!("{e}; ")).unwrap_or_default(), humantime::format_duration(*after))]
    GaveUp {
        /// `powersync.give_up_after`.
        after: Duration,
        /// How the last stream ended; `None` if it was still open.
        last: Option<Box<StreamError>>,
    },
}

fn refusal(code: Option<&str>, description: &str, status: StatusCode) -> String {
    let hint = match hint(code, status) {
        Some(hint) => format!("; {hint}"),
        None => String::new(),
    };
    match code {
        Some(code) => format!(" {code}: {description}{hint}"),
        None => format!(": {description}{hint}"),
    }
}

impl StreamError {
    /// Returns whether opening the stream again could help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Dropped(_)
            | Self::Idle(_)
            | Self::Malformed(_)
            | Self::TokenExpired
            | Self::GaveUp { .. } => true,
            Self::Endpoint { .. }
            | Self::Client(_)
            | Self::Redirected { .. }
            | Self::NotAStream { .. }
            | Self::LineTooLong { .. } => false,
            Self::Refused { status, code, .. } => {
                // Where it knows better, the code decides.
                if let Some(passes) = code.as_deref().and_then(passes) {
                    return passes;
                }
                status.is_server_error()
                    || matches!(
                        *status,
                        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
                    )
            }
        }
    }

    /// Returns whether the same attempt opens another stream after it: not when its time is over.
    pub fn is_retried_within_attempt(&self) -> bool {
        self.is_transient() && !matches!(self, Self::GaveUp { .. })
    }

    /// Adds to a refused signature in which other way the secret can be read, if it was `read_as` this.
    pub(crate) fn with_secret(mut self, read_as: Option<SecretEncoding>) -> Self {
        let (was, other) = match read_as {
            Some(SecretEncoding::Text) => ("plain text", "base64url"),
            Some(_) => ("base64url", "text"),
            None => return self,
        };
        if let Self::Refused {
            code: Some(code),
            description,
            ..
        } = &mut self
            && matches!(code.as_str(), "PSYNC_S2101" | "PSYNC_S2102")
        {
            description.push_str(&format!(
                "; token.secret was taken for {was}: if it is not, set token.secret_encoding = \"{other}\""
            ));
        }
        self
    }

    /// Returns the error's kind as one short word, for `error.type`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Endpoint { .. } | Self::Client(_) => "powersync_config",
            Self::Unreachable { .. } => "powersync_unreachable",
            Self::Refused { .. } => "powersync_refused",
            Self::Redirected { .. } => "powersync_redirected",
            Self::NotAStream { .. } => "not_a_stream",
            Self::Dropped(_) => "stream_dropped",
            Self::Idle(_) => "stream_idle",
            Self::Malformed(_) => "stream_malformed",
            Self::LineTooLong { .. } => "line_too_long",
            Self::TokenExpired => "token_expired",
            Self::GaveUp { last, .. } => last.as_ref().map_or("stream_silent", |last| last.name()),
        }
    }

    /// Returns whether the service has as many streams open as it allows (429). A later request may succeed.
    pub fn is_overload(&self) -> bool {
        match self {
            Self::Refused { status, .. } => *status == StatusCode::TOO_MANY_REQUESTS,
            Self::GaveUp { last, .. } => last.as_ref().is_some_and(|last| last.is_overload()),
            _ => false,
        }
    }

    /// Returns how long the service asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            Self::GaveUp { last, .. } => last.as_ref()?.retry_after(),
            _ => None,
        }
    }
}
