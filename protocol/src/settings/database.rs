//! Files that a database's URL names for TLS: a driver only says that there is no such file, not which.

use std::path::Path;

use url::Url;

use super::error::{SettingsError, invalid};

/// The parameters of Postgres and MySQL URLs whose values are files, in each of the drivers' spellings.
const FILES: [&str; 9] = [
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "tlsCAFile",
    "tlsCertificateKeyFile",
];

/// Where Postgres clients look for a certificate that the URL does not name.
const ROOT_VARIABLE: &str = "PGSSLROOTCERT";

/// Schemes whose drivers parse a URL as everybody does; MongoDB's names several hosts.
const PARSED: [&str; 4] = ["postgres", "postgresql", "mysql", "mariadb"];

/// Checks that the database URL of `setting` is one, and that each file which it names can be read and is PEM.
///
/// # Errors
/// [`SettingsError::Invalid`] names the parameter and the file; of a malformed URL it shows nothing.
pub fn check_database_url(setting: &'static str, url: &str) -> Result<(), SettingsError> {
    let url = match (Url::parse(url), url.split_once(':')) {
        (Ok(url), _) => url,
        (Err(error), Some((scheme, _))) if PARSED.contains(&scheme) => {
            return invalid(
                setting,
                format!(
                    "is malformed ({error}): it must be {scheme}://USER:PASSWORD@HOST:PORT/DATABASE, with characters such as \
                     '/' and '@' of a password as %2F and %40"
                ),
            );
        }
        // Whoever opens it says what is wrong with it.
        (Err(_), _) => return Ok(()),
    };
    for (name, file) in url.query_pairs() {
        if FILES.contains(&name.as_ref())
            && let Err(reason) = readable_pem(Path::new(file.as_ref()))
        {
            return invalid(setting, format!("has {name}={file}, but {reason}"));
        }
    }
    let names_root = || {
        url.query_pairs()
            .any(|(name, _)| FILES[..2].contains(&name.as_ref()))
    };
    if url.scheme().starts_with("postgres")
        && let Some(file) = std::env::var_os(ROOT_VARIABLE)
        && !names_root()
        && let Err(reason) = readable_pem(Path::new(&file))
    {
        return invalid(
            setting,
            format!(
                "is used with {ROOT_VARIABLE}={}, but {reason}",
                Path::new(&file).display()
            ),
        );
    }
    Ok(())
}

fn readable_pem(file: &Path) -> Result<(), String> {
    match std::fs::read(file) {
        Err(error) => Err(format!("that file cannot be read: {error}")),
        Ok(content) if !content.windows(11).any(|w| w == b"-----BEGIN ") => {
            Err("that file is not PEM".to_owned())
        }
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_there_is_named_with_its_parameter() {
        let directory = tempfile::tempdir().unwrap();
        let good = directory.path().join("root.pem");
        std::fs::write(&good, "-----BEGIN CERTIFICATE-----\n").unwrap();
        let bad = directory.path().join("root.der");
        std::fs::write(&bad, [0x30, 0x82]).unwrap();
        let check = |parameters: String| {
            let url = format!("postgres://me:hunter2@db.example.com/app?{parameters}");
            check_database_url("source.url", &url).map_err(|e| e.to_string())
        };
        check(format!("sslrootcert={}", good.display())).unwrap();
        check("sslmode=require".to_owned()).unwrap();
        let malformed = check_database_url("source.url", "postgres://me:hunter2@db:abc/x");
        let malformed = malformed.unwrap_err().to_string();
        assert!(
            malformed.contains("source.url is malformed (invalid port number)"),
            "{malformed}"
        );
        assert!(!malformed.contains("hunter2"), "{malformed}");
        check_database_url("source.url", "mongodb://a:1,b:2/x").unwrap();
        for (name, file, reason) in [
            ("sslrootcert", "/nowhere/root.pem", "No such file"),
            ("ssl-key", "/nowhere/key.pem", "No such file"),
            ("sslrootcert", bad.to_str().unwrap(), "not PEM"),
        ] {
            let error = check(format!("sslmode=verify-full&{name}={file}")).unwrap_err();
            for part in ["source.url", name, file, reason] {
                assert!(error.contains(part), "{error}");
            }
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
