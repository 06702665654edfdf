//! Why the settings cannot be used.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("cannot read the settings file {}: {source}{}", path.display(), whose(path, source))]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}, line {line}: {reason}", path.display())]
    Syntax {
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        reason: String,
    },
    #[error("the environment variable {variable} is not Unicode; set it to a text in UTF-8")]
    NotUnicode {
        /// Its name, as far as it can be shown.
        variable: String,
    },
    #[error("unknown setting {setting} in {origin}; {advice}")]
    Unknown {
        setting: String,
        origin: String,
        /// The nearest name, or those that exist.
        advice: String,
    },
    /// The value has the wrong type or form.
    #[error("{setting}{} in {origin}: {reason}", value.as_ref().map_or_else(String::new, |value| format!(" = {value}")))]
    Value {
        setting: String,
        /// The value; `None` if it may be a secret.
        value: Option<String>,
        origin: String,
        reason: String,
    },
    /// The value makes no sense, or is missing.
    #[error("{setting} {problem}")]
    Invalid { setting: String, problem: String },
}

/// Refuses a value that makes no sense.
///
/// # Errors
/// Always: [`SettingsError::Invalid`].
pub fn invalid(
    setting: impl Into<String>,
    problem: impl Into<String>,
) -> Result<(), SettingsError> {
    Err(SettingsError::Invalid {
        setting: setting.into(),
        problem: problem.into(),
    })
}

/// Whose a file is that this process may not read, and who this process is: in a container, that is the image's user. Empty for other
/// errors.
fn whose(path: &Path, error: &io::Error) -> String {
    // The owner of its entry in /proc is the process's user.
    let process = fs::metadata("/proc/self");
    let (io::ErrorKind::PermissionDenied, Ok(process)) = (error.kind(), process) else {
        return String::new();
    };
    let (user, group) = (process.uid(), process.gid());
    let Ok(file) = fs::metadata(path) else {
        return format!(
            "; this process is user {user} of group {group}, who may not enter the file's folder"
        );
    };
    let place = path.display();
    format!(
        "; it belongs to user {} and group {} with mode {:o}, and this process is user {user} of group {group}: \
         `chgrp {group} {place} && chmod 640 {place}` lets it read",
        file.uid(),
        file.gid(),
        file.mode() & 0o777,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_not_read_is_told_who_may_and_what_to_do() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = |source| SettingsError::Unreadable {
            path: file.path().to_owned(),
            source,
        };
        let denied = error(io::ErrorKind::PermissionDenied.into()).to_string();
        assert!(denied.contains("with mode 600"), "{denied}");
        let place = file.path().display();
        let remedy = format!("{place} && chmod 640 {place}` lets it read");
        assert!(denied.ends_with(&remedy), "{denied}");
        let missing = error(io::ErrorKind::NotFound.into()).to_string();
        assert!(missing.ends_with("entity not found"), "{missing}");
    }
}
