//! `[login]`: the provider of logins by which people sign in to the dashboard, and what it makes them.

use std::time::Duration;

use seedbed_protocol::{
    process::outbound::refuse_link_local,
    settings::{Secret, SettingsError, duration, invalid, list, optional_secret, positive},
};
use serde::Deserialize;
use url::{Host, Url};

/// Where the provider leads browsers back to.
pub(crate) const CALLBACK: &str = "/login/callback";

/// The longest session: a role is asked for again at the next login.
const MAX_LIFETIME: Duration = Duration::from_secs(30 * 86_400);

/// Logins by OpenID Connect.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginConfig {
    /// The provider, exactly as its tokens name it.
    pub issuer: Option<String>,
    /// What the provider calls this server.
    pub client_id: Option<String>,
    /// What this server shows to the provider; none for a public client.
    #[serde(default, deserialize_with = "optional_secret")]
    pub client_secret: Option<Secret>,
    /// Where the provider leads browsers back to, exactly as the provider knows it.
    pub redirect_url: Option<Url>,
    /// What is asked for.
    #[serde(deserialize_with = "list")]
    pub scopes: Vec<String>,
    /// The claim that says what a person may do.
    pub role_claim: String,
    /// Its values that make a person an administrator.
    #[serde(deserialize_with = "list")]
    pub admins: Vec<String>,
    /// Its values that make a person an operator.
    #[serde(deserialize_with = "list")]
    pub operators: Vec<String>,
    /// Its values that make a person a viewer.
    #[serde(deserialize_with = "list")]
    pub viewers: Vec<String>,
    /// The claim with a person's name.
    pub name_claim: String,
    /// How long a session lasts.
    #[serde(deserialize_with = "duration")]
    pub lifetime: Duration,
}

impl LoginConfig {
    /// Returns the provider, if there is one.
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref().filter(|issuer| !issuer.is_empty())
    }

    /// Checks what a server needs.
    pub(crate) fn check(&self, open_admin: bool) -> Result<(), SettingsError> {
        self.check_values()?;
        let given = |value: &Option<String>| value.as_ref().is_some_and(|text| !text.is_empty());
        let has_roles = [&self.admins, &self.operators, &self.viewers]
            .into_iter()
            .any(|names| !names.is_empty());
        if self.issuer().is_none() {
            return match given(&self.client_id) || self.redirect_url.is_some() || has_roles {
                true => invalid(
                    "login.issuer",
                    "is missing although other settings of [login] are there; set it to the provider's URL",
                ),
                false => Ok(()),
            };
        }
        if open_admin {
            return invalid(
                "serve.open_admin",
                "is true although login.issuer is set; leave one of them out",
            );
        }
        if !given(&self.client_id) {
            return invalid(
                "login.client_id",
                "is missing; the provider gives it to you when you register Seedbed there",
            );
        }
        if self.redirect_url.is_none() {
            return invalid(
                "login.redirect_url",
                format!(
                    "is missing; set it to where browsers reach this server, with {CALLBACK} behind it, and register the \
                     same at the provider"
                ),
            );
        }
        if !has_roles {
            return invalid(
                "login.admins",
                "is empty, and so are login.operators and login.viewers: nobody could see anything",
            );
        }
        Ok(())
    }

    /// Checks each value by itself.
    pub(super) fn check_values(&self) -> Result<(), SettingsError> {
        if let Some(issuer) = self.issuer() {
            let url = Url::parse(issuer).ok();
            let is_one = |url: &Url| {
                is_safe(url) && url.query().is_none() && url.fragment().is_none() && is_bare(url)
            };
            if url.as_ref().is_some_and(names_user) {
                return invalid("login.issuer", NO_USER);
            }
            let Some(url) = url.filter(is_one) else {
                return invalid(
                    "login.issuer",
                    "must be an https:// URL without a query, exactly as the provider's tokens have it in iss (http:// at \
                     localhost)",
                );
            };
            refuse_link_local(&url)
                .or_else(|e| invalid("login.issuer", format!("is refused: {e}")))?;
        }
        if let Some(url) = &self.redirect_url
            && !(is_safe(url) && is_bare(url) && url.path() == CALLBACK && url.query().is_none())
        {
            return invalid(
                "login.redirect_url",
                format!(
                    "must be an https:// URL (http:// at localhost) whose path is {CALLBACK}, such as \
                     https://seedbed.example.com{CALLBACK}"
                ),
            );
        }
        if !self.scopes.iter().any(|scope| scope == "openid") {
            return invalid("login.scopes", "must have openid among them");
        }
        for (setting, claim) in [
            ("login.role_claim", &self.role_claim),
            ("login.name_claim", &self.name_claim),
        ] {
            if claim.trim().is_empty() {
                return invalid(setting, "is empty; name a claim of the provider's ID token");
            }
        }
        positive("login.lifetime", self.lifetime)?;
        match self.lifetime > MAX_LIFETIME {
            true => invalid(
                "login.lifetime",
                "is longer than 30d; what a person may do is asked for at a login only",
            ),
            false => Ok(()),
        }
    }
}

/// Whether what goes to this URL cannot be read on the way.
pub(crate) fn is_safe(url: &Url) -> bool {
    let is_here = || match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" && url.has_host() || url.scheme() == "http" && is_here()
}

/// Whether it has no password, and no fragment.
fn is_bare(url: &Url) -> bool {
    !names_user(url) && url.fragment().is_none()
}

/// Why a URL with a user is refused that others get to see.
pub(super) const NO_USER: &str = "has a user name or a password in it, which logs and other servers would get to see; remove what is before the @";

/// Whether somebody is named before the host.
pub(super) fn names_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}
