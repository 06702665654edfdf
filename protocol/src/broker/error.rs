//! Why a broker did not do what was asked, and what to do about it.

use super::queue::Queue;
use crate::message::codec::CodecError;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// It has been shut down; nothing more is taken or given.
    #[error("the broker is closed")]
    Closed,
    /// A message that cannot be written.
    #[error(transparent)]
    Message(#[from] CodecError),
    /// A setting that makes no sense.
    #[error("{setting} {reason}")]
    Setting {
        setting: &'static str,
        /// What is wrong with its value, without the value.
        reason: String,
    },
    /// No answer, or not one in AMQP.
    #[error(
        "cannot reach RabbitMQ at {broker} (broker.url): {reason}; check the address and that the server runs"
    )]
    Unreachable { broker: String, reason: String },
    /// RabbitMQ, or the TLS handshake with it, turned the connection down.
    #[error("RabbitMQ at {broker} (broker.url) refused the connection: {reason}; {next}")]
    Refused {
        broker: String,
        reason: String,
        next: &'static str,
        /// Whether a change on the server alone lets the same settings in.
        may_pass: bool,
    },
    /// A queue or an exchange that exists with other arguments, or that may not be declared.
    #[error("the {kind} {name} cannot be used: {reason}; {next}")]
    Topology {
        kind: &'static str,
        name: String,
        /// What RabbitMQ said; names the argument.
        reason: String,
        next: String,
        /// Whether a change of permissions alone lets it be used.
        may_pass: bool,
    },
    /// RabbitMQ turned down one request, for good.
    #[error(
        "RabbitMQ refused a request: {reason}; check the permissions of broker.url's user and RabbitMQ's log"
    )]
    Denied { reason: String },
    /// RabbitMQ turned down one request, which it may allow later: a permission was revoked, a queue was deleted.
    #[error("RabbitMQ refuses a request now: {reason}; it is tried again")]
    NotNow { reason: String },
    /// The connection went away during a request.
    #[error("the connection to RabbitMQ was lost ({reason}); it is being restored")]
    Lost { reason: String },
    /// A delivery of a connection that is gone.
    #[error("the connection was lost after the message was taken; the message is delivered again")]
    Void,
    /// A retry in a queue without delays.
    #[error("messages of {queue} cannot wait for a later try; hand them back or park them")]
    NoDelays { queue: Queue },
}

impl BrokerError {
    /// Returns whether a setting, or what it names, has to be changed.
    pub fn is_configuration(&self) -> bool {
        matches!(
            self,
            Self::Setting { .. }
                | Self::Refused { .. }
                | Self::Topology { .. }
                | Self::Denied { .. }
        )
    }

    /// Returns whether a retry of the same call may succeed without any change.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Lost { .. } | Self::NotNow { .. } | Self::Void
        )
    }

    /// Returns whether a program that starts may wait for it to pass: for anything but wrong settings, among which count
    /// a user or a password that RabbitMQ does not know, a certificate that is not trusted, and a queue with other
    /// arguments.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Refused { may_pass, .. } | Self::Topology { may_pass, .. } => *may_pass,
            error => error.is_transient(),
        }
    }
}
