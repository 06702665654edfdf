//! Where RabbitMQ is and how to connect to it, from the settings.

use lapin::{
    Connection, ConnectionProperties, ErrorKind, runtime, tcp::OwnedTLSConfig, uri::AMQPUri,
};

use super::super::{config::BrokerConfig, contract::Peer, error::BrokerError};

/// Seconds of silence, in either direction, after which a connection counts as lost. Also keeps connections alive
/// through proxies that drop idle ones.
const HEARTBEAT_SECONDS: u16 = 20;

pub(super) struct Address {
    uri: AMQPUri,
    tls: OwnedTLSConfig,
    shown: String,
}

/// Checks the settings.
pub(super) fn resolve(config: &BrokerConfig) -> Result<Address, BrokerError> {
    let setting = |setting, reason| BrokerError::Setting { setting, reason };
    let url = config.url.expose();
    // lapin's own message would show the URL.
    let mut uri: AMQPUri = url.as_str().parse().map_err(|_| {
        setting(
            "broker.url",
            "is not an AMQP URL; write amqp://USER:PASSWORD@HOST:PORT/VHOST".to_owned(),
        )
    })?;
    // lapin takes the host of a literal IPv6 address for localhost.
    let host = url.host_str().unwrap_or_default();
    uri.authority.host = host.trim_matches(['[', ']']).to_owned();
    uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
    let authorities = config.ca_file.as_ref().map(std::fs::read_to_string);
    let authorities = authorities.transpose().map_err(|e| {
        setting(
            "broker.ca_file",
            format!("cannot be read as PEM certificates: {e}"),
        )
    })?;
    Ok(Address {
        uri,
        tls: OwnedTLSConfig {
            identity: None,
            cert_chain: authorities,
        },
        shown: config.url.to_string(),
    })
}

impl Address {
    pub(super) fn peer(&self) -> Peer {
        let authority = &self.uri.authority;
        Peer {
            system: "rabbitmq",
            address: Some((authority.host.clone(), authority.port)),
        }
    }

    /// Makes one try at a connection, which RabbitMQ lists under `name`.
    pub(super) async fn dial(&self, name: &'static str) -> Result<Connection, BrokerError> {
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let runtime = runtime::default_runtime()?;
        Connection::connect_uri_with_config(self.uri.clone(), properties, self.tls.clone(), runtime)
            .await
            .map_err(|error| self.explain(&error))
    }

    /// Returns the transient error for `reason`.
    pub(super) fn unreachable(&self, reason: impl ToString) -> BrokerError {
        BrokerError::Unreachable {
            broker: self.shown.clone(),
            reason: reason.to_string(),
        }
    }

    fn explain(&self, error: &lapin::Error) -> BrokerError {
        let refused = |reason: String, next, may_pass| BrokerError::Refused {
            broker: self.shown.clone(),
            reason,
            next,
            may_pass,
        };
        match error.kind() {
            ErrorKind::ProtocolError(protocol) => {
                let reason = protocol.get_message().to_string();
                let is_login = reason.starts_with("ACCESS_REFUSED");
                let next = if is_login {
                    "check the user name and the password in broker.url"
                } else if reason.contains("not found") {
                    "check the virtual host, which is the path of broker.url (/%2F or no path for RabbitMQ's \
                     default one), or make it with rabbitmqctl add_vhost"
                } else {
                    "let broker.url's user into the virtual host with rabbitmqctl set_permissions"
                };
                refused(reason, next, !is_login)
            }
            ErrorKind::IOError(io) if io.kind() == std::io::ErrorKind::InvalidData => refused(
                io.to_string(),
                "check that the server's certificate is for this host and that the platform or broker.ca_file \
                 knows who signed it",
                false,
            ),
            _ => self.unreachable(error),
        }
    }
}
