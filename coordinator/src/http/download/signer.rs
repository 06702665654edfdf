//! The signer of a server that hands out files of a directory. All servers of a catalog sign alike: with
//! `download.signing_secret`, or with a secret that the first of them made and the catalog keeps. So a URL is good on each
//! of them, also while one takes the place of another.

use seedbed_protocol::settings::Secret;
use tokio::sync::OnceCell;

use super::signed_url::UrlSigner;
use crate::{
    catalog::Catalog,
    http::{auth::KeyError, problem::Problem},
};

/// The name of the secret in the catalog.
const NAME: &str = "signing";

/// Signs and checks the URLs of files.
pub(super) struct SharedSigner {
    catalog: Catalog,
    /// Set at the first use, so that a server starts while its catalog is away.
    signer: OnceCell<UrlSigner>,
}

impl SharedSigner {
    /// Signs with `secret`, or with the one that `catalog` keeps.
    pub(super) fn new(catalog: Catalog, secret: Option<&Secret>) -> Result<Self, KeyError> {
        let signer = secret.map(UrlSigner::new).transpose()?;
        Ok(Self {
            catalog,
            signer: OnceCell::new_with(signer),
        })
    }

    /// Returns what signs and checks.
    ///
    /// # Errors
    /// [`Problem`] when the catalog cannot be asked.
    pub(super) async fn get(&self) -> Result<&UrlSigner, Problem> {
        let signer = self.signer.get_or_try_init(async || {
            let secret = self.catalog.shared_secret(NAME, Secret::random).await?;
            UrlSigner::new(&secret).map_err(|error| Problem::failed("the catalog", &error, false))
        });
        signer.await
    }
}
