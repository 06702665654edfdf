//! Where a PowerSync service is, and how to sign tokens for it.

use serde::Deserialize;

use seedbed_stand_in::PowerSync;

/// What a client of a PowerSync service has to know.
#[derive(Debug, Clone, Deserialize)]
pub struct Access {
    /// The service's URL.
    pub endpoint: String,
    /// The secret of HS256 tokens, base64url.
    pub secret: String,
    /// Its key id.
    pub kid: String,
}

impl From<&PowerSync> for Access {
    fn from(service: &PowerSync) -> Self {
        Self {
            endpoint: service.endpoint(),
            secret: service.secret().to_owned(),
            kid: service.kid().to_owned(),
        }
    }
}
