//! Checks that people can sign in: the provider is there, is the one that is meant, and publishes keys.

use super::report::Checked;
use crate::{http::check_login, settings::Settings};

/// Checks the provider of logins; `None` if there is none.
pub(super) async fn check(settings: &Settings) -> Option<Checked<String>> {
    let login = &settings.login;
    if let Err(error) = login.check(settings.serve.open_admin) {
        return Some(Err(error.into()));
    }
    login.issuer()?;
    let told = check_login(login).await;
    Some(told.map_err(Into::into))
}
