//! Why a broker did not do what was asked, and what to do about it.

use super::queue::Queue;
use crate::message::codec::CodecError;

/// Why a broker did not do what was asked.
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
        /// Its name.
        setting: &'static str,
        /// What is wrong with its value, without the value.
        reason: String,
    },
    /// Nobody answers there, or not in AMQP.
    #[error(
        "cannot reach RabbitMQ at {broker} (broker.url): {reason}; check the address and that the server runs"
    )]
    Unreachable {
        /// The URL without its secrets.
        broker: String,
        /// What the network said.
        reason: String,
    },
    /// RabbitMQ, or the TLS handshake with it, turned the connection down.
    #[error("RabbitMQ at {broker} (broker.url) refused the connection: {reason}; {next}")]
    Refused {
        /// The URL without its secrets.
        broker: String,
        /// What was said.
        reason: String,
        /// What to do.
        next: &'static str,
    },
    /// A queue or an exchange that exists with other arguments, or that may not be declared.
    #[error("the {kind} {name} cannot be used: {reason}; {next}")]
    Topology {
        /// Queue or exchange.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What RabbitMQ said; names the argument.
        reason: String,
        /// What to do.
        next: String,
    },
    /// RabbitMQ turned down one request, for good.
    #[error(
        "RabbitMQ refused a request: {reason}; check the permissions of broker.url's user and RabbitMQ's log"
    )]
    Denied {
        /// What RabbitMQ said.
        reason: String,
    },
    /// The queue was gone, and again after it had been declared anew.
    #[error("RabbitMQ has no queue {queue}; is something else deleting it?")]
    Unroutable {
        /// The queue's name.
        queue: String,
    },
    /// The connection went away during a request.
    #[error("the connection to RabbitMQ was lost ({reason}); it is being restored")]
    Lost {
        /// How it ended.
        reason: String,
    },
    /// A delivery of a connection that is gone.
    #[error("the connection was lost after the message was taken; the message is delivered again")]
    Void,
    /// A later try in a queue without delays.
    #[error("messages of {queue} cannot wait for a later try; hand them back or park them")]
    NoDelays {
        /// The queue.
        queue: Queue,
    },
}

impl BrokerError {
    /// Whether somebody has to change a setting, or what it names.
    pub fn is_configuration(&self) -> bool {
        matches!(
            self,
            Self::Setting { .. }
                | Self::Refused { .. }
                | Self::Topology { .. }
                | Self::Denied { .. }
        )
    }

    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Lost { .. } | Self::Void
        )
    }
}
