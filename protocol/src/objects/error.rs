//! Why object storage did not do what was asked, and what to do about it.

use std::{io, path::PathBuf};

use crate::error::chain;

/// The longest answer of a service that an error repeats, in characters.
const MAX_REASON_CHARS: usize = 400;

/// Why object storage did not do what was asked. What a service answered is repeated only as far as it holds no part
/// of the request: some services answer a bad signature with every header that was signed.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error("snapshots.url {url:?} is not a place for snapshots: {reason}")]
    Url {
        /// The URL as configured, without what may be secret.
        url: String,
        reason: String,
    },
    #[error("the environment does not fit snapshots.url {url:?}: {reason}; set {variables}")]
    Environment {
        url: String,
        reason: String,
        variables: &'static str,
    },
    #[error("cannot use the snapshot directory {}: {source}", path.display())]
    Directory { path: PathBuf, source: io::Error },
    #[error("there is no object {key:?} in {url}")]
    NotFound { key: String, url: String },
    #[error(
        "the bucket or container of {url} does not exist ({reason}): create it, or correct snapshots.url"
    )]
    NoBucket { url: String, reason: String },
    /// The service does not accept who asks.
    #[error("{url} does not accept the credentials ({reason}): set {variables}")]
    Credentials {
        url: String,
        reason: String,
        variables: &'static str,
    },
    /// The service knows who asks, and refuses.
    #[error(
        "may not {action} {key:?} in {url} ({reason}): allow these credentials to write, read, list and delete there"
    )]
    Denied {
        action: &'static str,
        key: String,
        url: String,
        reason: String,
    },
    /// What is configured can read and write, but not make URLs for others.
    #[error(
        "URLs of {url} cannot be signed ({reason}): that takes AZURE_STORAGE_ACCOUNT_KEY, or an identity with the roles \
         Storage Blob Data Contributor and Storage Blob Delegator; a SAS cannot sign"
    )]
    CannotSign { url: String, reason: String },
    /// The service failed, or cannot do this.
    #[error("cannot {action} {key:?} in {url}: {reason}")]
    Object {
        action: &'static str,
        key: String,
        url: String,
        reason: String,
        transient: bool,
    },
    /// The object is there, and is not what it should be.
    #[error("{key:?} in {url} is not a {expected} of this version: {source}")]
    Content {
        key: String,
        url: String,
        expected: &'static str,
        source: serde_json::Error,
    },
    #[error(
        "{key:?} in {url} is not the file of {bytes} bytes that was uploaded: it was damaged or replaced"
    )]
    Altered {
        key: String,
        url: String,
        /// The size that was uploaded.
        bytes: u64,
    },
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

impl StorageError {
    /// Returns one of few words, for `error.type` of spans.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Url { .. } | Self::Environment { .. } => "snapshots_config",
            Self::Directory { .. } => "snapshots_directory",
            Self::NotFound { .. } => "object_not_found",
            Self::NoBucket { .. } => "no_bucket",
            Self::Credentials { .. } => "object_store_credentials",
            Self::Denied { .. } => "object_store_denied",
            Self::CannotSign { .. } => "object_store_cannot_sign",
            Self::Content { expected, .. } => expected,
            Self::Altered { .. } => "object_altered",
            Self::File { .. } => "file",
            Self::Object { .. } => "object_store",
        }
    }

    /// Returns whether a retry could help: yes, unless the service said that it will never allow this.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Url { .. }
            | Self::Environment { .. }
            | Self::Directory { .. }
            | Self::NotFound { .. }
            | Self::NoBucket { .. }
            | Self::Credentials { .. }
            | Self::Denied { .. }
            | Self::CannotSign { .. }
            | Self::Content { .. }
            | Self::Altered { .. } => false,
            Self::File { source, .. } => !matches!(
                source.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
            ),
            Self::Object { transient, .. } => *transient,
        }
    }
}

/// How the error begins when Azure lends an identity no key to sign with.
pub(super) const NOT_DELEGATED: &str = "Azure lends this identity no key to sign with";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    NotFound,
    NoBucket,
    Credentials,
    Denied,
    CannotSign,
    Unsupported,
    /// Anything that may pass.
    Failure,
}

/// The codes by which S3, Azure and Google tell apart what HTTP gives one status. Sources:
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>,
/// <https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes>,
/// <https://cloud.google.com/storage/docs/xml-api/reference-status>.
const CODES: [(&str, Refusal); 19] = [
    (NOT_DELEGATED, Refusal::CannotSign),
    // What object_store says when Azure is configured with a SAS, or with no credentials at all.
    ("Generating SAS keys with SAS tokens", Refusal::CannotSign),
    ("Generating SAS keys while skipping", Refusal::CannotSign),
    ("NoSuchBucket", Refusal::NoBucket),
    ("ContainerNotFound", Refusal::NoBucket),
    ("bucket does not exist", Refusal::NoBucket),
    // A multipart upload that an earlier try has ended.
    ("NoSuchUpload", Refusal::Failure),
    // The next request gets a new signature.
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

/// Returns what `error` means, and what of it can be shown.
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

/// Returns the code and the message of an XML answer, or else the first line, without the queries of URLs, which can
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
