//! Reads the URL of a MongoDB, without showing a user or a password of it.

use mongodb::{
    error::{Error, ErrorKind},
    options::ConnectionString,
};

/// Returns what `url` connects to, and its database. Nothing is opened, no name is looked up.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn mongo_connection(url: &str) -> Result<(ConnectionString, String), String> {
    let connection = ConnectionString::parse(url);
    let connection =
        connection.map_err(|error| format!("is malformed: {}", reason(&error, url)))?;
    let database = connection.default_database.clone().ok_or_else(|| {
        "names no database; write it behind the hosts, as in mongodb://HOST/DATABASE".to_owned()
    })?;
    Ok((connection, database))
}

/// The driver's reason, unless it quotes what may be a secret: a password with an `@` or a `/` in it ends up in the host's name.
fn reason(error: &Error, url: &str) -> String {
    let reason = match error.kind.as_ref() {
        ErrorKind::InvalidArgument { message, .. } => message.clone(),
        other => other.to_string(),
    };
    let (_, after) = url.split_once("://").unwrap_or_default();
    let secrets = after.rsplit_once('@').map_or("", |(user, _)| user);
    let options = after.split_once('?').map_or("", |(_, options)| options);
    let values = options
        .split('&')
        .filter_map(|option| option.split_once('='));
    let parts = secrets
        .split([':', '@', '/', ','])
        .chain(values.map(|(_, value)| value));
    let quotes_a_secret = parts
        .filter(|part| !part.is_empty())
        .any(|part| reason.contains(part));
    if quotes_a_secret {
        "percent-encode : / ? # [ ] @ % in user and password, and look at the options behind the ?"
            .to_owned()
    } else {
        reason
    }
}
