//! What lapin's errors mean for the delivery contract.

use lapin::{
    ErrorKind,
    protocol::{AMQPErrorKind, AMQPSoftError},
};

use super::super::error::BrokerError;

/// An error of a request on an open connection.
impl From<lapin::Error> for BrokerError {
    fn from(error: lapin::Error) -> Self {
        match error.kind() {
            ErrorKind::ProtocolError(protocol) if passes(protocol.kind()) => Self::NotNow {
                reason: protocol.get_message().to_string(),
            },
            // Soft errors answer one request and leave the connection alone.
            ErrorKind::ProtocolError(protocol) if error.is_amqp_soft_error() => Self::Denied {
                reason: protocol.get_message().to_string(),
            },
            _ => Self::Lost {
                reason: error.to_string(),
            },
        }
    }
}

/// Whether RabbitMQ may allow the same request later.
fn passes(kind: &AMQPErrorKind) -> bool {
    matches!(
        kind,
        AMQPErrorKind::Soft(
            AMQPSoftError::ACCESSREFUSED
                | AMQPSoftError::NOTFOUND
                | AMQPSoftError::RESOURCELOCKED
                | AMQPSoftError::NOCONSUMERS
        )
    )
}
