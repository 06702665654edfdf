//! Why the snapshot store did not do what was asked, and what to do about it.

use std::{io, path::PathBuf};

use crate::error::chain;

/// The longest text of a store that an error repeats, in characters.
const MAX_REASON_CHARS: usize = 400;

/// Why the snapshot store did not do what was asked. What a store said is repeated only as far as it holds no
/// part of the request: some stores answer a bad signature with every header that was signed.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotStoreError {
    /// The URL names no place for snapshots.
    #[error("snapshots.url {url:?} is not a place for snapshots: {reason}")]
    Url {
        /// The URL as configured, without what may be secret.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The environment does not say how to reach the store.
    #[error("the environment does not fit snapshots.url {url:?}: {reason}; set {variables}")]
    Environment {
        /// The store's URL.
        url: String,
        /// What is missing or wrong.
        reason: String,
        /// The variables that matter.
        variables: &'static str,
    },
    /// A local directory that cannot be made or entered.
    #[error("cannot use the snapshot directory {}: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// The object is not there.
    #[error("there is no object {key:?} in {url}")]
    NotFound {
        /// The object's key.
        key: String,
        /// The store's URL.
        url: String,
    },
    /// The bucket or container is not there.
    #[error(
        "the bucket or container of {url} does not exist ({reason}): create it, or correct snapshots.url"
    )]
    NoBucket {
        /// The store's URL.
        url: String,
        /// The store's word.
        reason: String,
    },
    /// The store does not know who asks.
    #[error("{url} does not accept the credentials ({reason}): set {variables}")]
    Credentials {
        /// The store's URL.
        url: String,
        /// The store's word.
        reason: String,
        /// The variables that matter.
        variables: &'static str,
    },
    /// The store knows who asks, and refuses.
    #[error(
        "may not {action} {key:?} in {url} ({reason}): allow these credentials to write, read, list and delete there"
    )]
    Denied {
        /// What was tried.
        action: &'static str,
        /// The object's key.
        key: String,
        /// The store's URL.
        url: String,
        /// The store's word.
        reason: String,
    },
    /// The store failed, or cannot do this.
    #[error("cannot {action} {key:?} in {url}: {reason}")]
    Object {
        /// What was tried.
        action: &'static str,
        /// The object's key.
        key: String,
        /// The store's URL.
        url: String,
        /// The store's word.
        reason: String,
        /// Whether another try could help.
        transient: bool,
    },
    /// A manifest that cannot be read.
    #[error("{key:?} in {url} is not a manifest of this version: {source}")]
    Manifest {
        /// The object's key.
        key: String,
        /// The store's URL.
        url: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The object is not what was uploaded.
    #[error(
        "{key:?} in {url} is not the file of {bytes} bytes that was uploaded: it was damaged or replaced"
    )]
    Altered {
        /// The object's key.
        key: String,
        /// The store's URL.
        url: String,
        /// The size that it had.
        bytes: u64,
    },
    /// A local file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
}

impl SnapshotStoreError {
    /// What it is, in one word of few, for `error.type`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Url { .. } | Self::Environment { .. } => "snapshots_config",
            Self::Directory { .. } => "snapshots_directory",
            Self::NotFound { .. } => "object_not_found",
            Self::NoBucket { .. } => "no_bucket",
            Self::Credentials { .. } => "object_store_credentials",
            Self::Denied { .. } => "object_store_denied",
            Self::Manifest { .. } => "manifest",
            Self::Altered { .. } => "object_altered",
            Self::File { .. } => "file",
            Self::Object { .. } => "object_store",
        }
    }

    /// Whether another try could help: yes, unless the store said that it will never allow this.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Url { .. }
            | Self::Environment { .. }
            | Self::Directory { .. }
            | Self::NotFound { .. }
            | Self::NoBucket { .. }
            | Self::Credentials { .. }
            | Self::Denied { .. }
            | Self::Manifest { .. }
            | Self::Altered { .. } => false,
            Self::File { source, .. } => !matches!(
                source.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
            ),
            Self::Object { transient, .. } => *transient,
        }
    }
}

/// What kind of refusal it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    NotFound,
    NoBucket,
    Credentials,
    Denied,
    Unsupported,
    /// Anything that may go away.
    Failure,
}

/// The codes by which S3, Azure and Google tell apart what HTTP gives one status. Sources:
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>,
/// <https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes>,
/// <https://cloud.google.com/storage/docs/xml-api/reference-status>.
const CODES: [(&str, Refusal); 16] = [
    ("NoSuchBucket", Refusal::NoBucket),
    ("ContainerNotFound", Refusal::NoBucket),
    ("bucket does not exist", Refusal::NoBucket),
    // A multipart upload that an earlier try has ended.
    ("NoSuchUpload", Refusal::Failure),
    // The next request is signed anew.
    ("ExpiredToken", Refusal::Failure),
    ("RequestTimeTooSkewed", Refusal::Failure),
    ("InvalidAccessKeyId", Refusal::Credentials),
    ("SignatureDoesNotMatch", Refusal::Credentials),
    ("InvalidToken", Refusal::Credentials),
    ("InvalidSecurity", Refusal::Credentials),
    ("failed to authenticate", Refusal::Credentials),
    ("InvalidAuthenticationInfo", Refusal::Credentials),
    // Where a machine without a role looks for credentials last.
    ("http://169.254.169.254/", Refusal::Credentials),
    ("metadata.google.internal", Refusal::Credentials),
    ("AccessDenied", Refusal::Denied),
    ("AuthorizationPermissionMismatch", Refusal::Denied),
];

/// What `error` means, and what of it can be shown.
pub(super) fn diagnose(error: &object_store::Error) -> (Refusal, String) {
    use object_store::Error as E;
    let text = chain(error);
    let code = CODES.iter().find(|(code, _)| text.contains(code));
    let refusal = match (code, error) {
        (Some((_, refusal)), _) => *refusal,
        (None, E::NotFound { .. }) => Refusal::NotFound,
        (None, E::Unauthenticated { .. }) => Refusal::Credentials,
        (None, E::PermissionDenied { .. }) => Refusal::Denied,
        (None, E::NotSupported { .. } | E::NotImplemented { .. }) => Refusal::Unsupported,
        (None, _) => Refusal::Failure,
    };
    (refusal, presentable(&text))
}

/// The code and the message of an XML answer, or else the first line; without queries of URLs, which can
/// hold signatures and tokens.
fn presentable(text: &str) -> String {
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        Some(rest.split_once(&format!("</{name}>"))?.0)
    };
    let said = match (element("Code"), element("Message")) {
        (Some(code), Some(message)) => {
            format!("{code}: {}", message.lines().next().unwrap_or_default())
        }
        (Some(code), None) => code.to_owned(),
        (None, _) => text.lines().next().unwrap_or_default().to_owned(),
    };
    let without_query = |word: &str| match word.split_once('?') {
        Some((address, _)) if address.contains("://") => format!("{address}?…"),
        _ => word.to_owned(),
    };
    let words: Vec<_> = said.split_whitespace().map(without_query).collect();
    words.join(" ").chars().take(MAX_REASON_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> object_store::Error {
        object_store::Error::PermissionDenied {
            path: "key".to_owned(),
            source: body.into(),
        }
    }

    #[test]
    fn what_was_signed_is_not_repeated() {
        let error = refused(
            "403 Forbidden: <Error><Code>SignatureDoesNotMatch</Code><Message>It does not match.</Message>\
             <CanonicalRequest>x-amz-security-token:hunter2</CanonicalRequest></Error>",
        );
        let (refusal, reason) = diagnose(&error);
        assert_eq!(refusal, Refusal::Credentials);
        assert_eq!(reason, "SignatureDoesNotMatch: It does not match.");
    }

    #[test]
    fn the_query_of_a_url_is_not_repeated() {
        let (refusal, reason) = diagnose(&refused("PUT https://a.example/c/k?sig=hunter2 failed"));
        assert_eq!(refusal, Refusal::Denied);
        assert!(
            reason.contains("https://a.example/c/k?… failed"),
            "{reason}"
        );
        assert!(!reason.contains("hunter2"), "{reason}");
    }
}
