//! What lapin's errors mean for the delivery contract.

use lapin::ErrorKind;

use super::super::error::BrokerError;

/// An error of a request on an open connection.
impl From<lapin::Error> for BrokerError {
    fn from(error: lapin::Error) -> Self {
        match error.kind() {
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
