//! Checks the certificate that `seedbed serve` speaks TLS by.

use chrono::Utc;

use super::report::Checked;
use crate::{http::certificate_expires, settings::ServeConfig};

/// Says how long the certificate is good; `None` without one.
pub(super) fn check(serve: &ServeConfig) -> Checked<Option<String>> {
    let Some(files) = serve.tls()? else {
        return Ok(None);
    };
    let expires = certificate_expires(&files)?;
    let day = expires.format("%Y-%m-%d %H:%M UTC");
    if expires <= Utc::now() {
        return Err(format!(
            "the certificate in {} has expired on {day}; renew it, servers read it again by themselves",
            files.certificate.display()
        )
        .into());
    }
    Ok(Some(format!("fits its key and is good until {day}")))
}
