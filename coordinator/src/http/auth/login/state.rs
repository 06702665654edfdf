//! What logins are answered from.

use chrono::Utc;
use seedbed_protocol::settings::Secret;
use std::time::Duration;
use url::Url;

use super::provider::Provider;
use crate::{
    catalog::{Catalog, Role},
    settings::LoginConfig,
};

/// Logins by one provider.
pub(in crate::http) struct Login {
    pub(super) provider: Provider,
    pub(super) issuer: String,
    pub(super) client_id: String,
    pub(super) client_secret: Option<Secret>,
    pub(super) redirect_url: Url,
    pub(super) scopes: String,
    pub(super) role_claim: String,
    /// The values of the claim that make somebody something, the highest role first.
    pub(super) roles: [(Role, Vec<String>); 3],
    pub(super) name_claim: String,
    pub(super) lifetime: Duration,
    pub(super) behind_proxy: bool,
    pub(super) catalog: Catalog,
}

impl Login {
    /// Returns what the settings describe; `None` if nobody signs in by a provider.
    pub(in crate::http) fn new(
        config: &LoginConfig,
        behind_proxy: bool,
        catalog: Catalog,
    ) -> reqwest::Result<Option<Self>> {
        let (Some(issuer), Some(client_id), Some(redirect_url)) =
            (config.issuer(), &config.client_id, &config.redirect_url)
        else {
            return Ok(None);
        };
        let Some(provider) = Provider::new(issuer)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            provider,
            issuer: issuer.to_owned(),
            client_id: client_id.clone(),
            client_secret: config.client_secret.clone(),
            redirect_url: redirect_url.clone(),
            scopes: config.scopes.join(" "),
            role_claim: config.role_claim.clone(),
            roles: [
                (Role::Admin, config.admins.clone()),
                (Role::Operator, config.operators.clone()),
                (Role::Viewer, config.viewers.clone()),
            ],
            name_claim: config.name_claim.clone(),
            lifetime: config.lifetime,
            behind_proxy,
            catalog,
        }))
    }

    /// Unix seconds.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(Utc::now().timestamp()).unwrap_or_default()
    }
}
