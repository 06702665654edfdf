//! Tells when a server has refused the token.

use std::sync::Arc;

use async_trait::async_trait;
use powersync::{Authenticator, error::PowerSyncError};
use tokio::sync::Notify;

/// The app's authenticator, with an ear for refusals: the SDK itself would ask for ever.
pub(crate) struct Refusable<A> {
    own: A,
    refused: Arc<Notify>,
}

impl<A> Refusable<A> {
    pub(crate) fn new(own: A) -> (Self, Arc<Notify>) {
        let refused = Arc::new(Notify::new());
        let its = refused.clone();
        (Self { own, refused: its }, refused)
    }
}

#[async_trait]
impl<A: Authenticator> Authenticator for Refusable<A> {
    async fn resolve_credentials(&self) -> Result<Arc<String>, PowerSyncError> {
        self.own.resolve_credentials().await
    }

    fn invalidate_credentials(&self) {
        self.own.invalidate_credentials();
        self.refused.notify_one();
    }
}
