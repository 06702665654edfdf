//! The place of object storage, a directory or a bucket of a service, and what differs between them.

use std::path::{Path, PathBuf};

use object_store::{Attribute, Attributes};

use super::error::{Refusal, StorageError, diagnose};
use crate::manifest::Encoding;

/// The services that keep objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    S3,
    Azure,
    Google,
}

impl Service {
    /// Returns the service of `s3:`, `az:` and `gs:` URLs.
    pub(super) fn of_scheme(scheme: &str) -> Option<Self> {
        match scheme {
            "s3" => Some(Self::S3),
            "az" => Some(Self::Azure),
            "gs" => Some(Self::Google),
            _ => None,
        }
    }

    /// Returns what to set when its credentials do not work.
    pub(super) fn variables(self) -> &'static str {
        match self {
            Self::S3 => {
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_REGION, AWS_ENDPOINT_URL), or give the machine a role"
            }
            Self::Azure => {
                "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or give the machine an identity"
            }
            Self::Google => {
                "GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT, or give the machine a service account"
            }
        }
    }
}

/// Where object storage is.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The URL, without a `/` at its end.
    pub(super) url: String,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    Directory(PathBuf),
    Service(Service),
}

impl Place {
    /// Returns the directory, unless it is a bucket.
    pub(super) fn directory(&self) -> Option<&Path> {
        match &self.kind {
            Kind::Directory(directory) => Some(directory),
            Kind::Service(_) => None,
        }
    }

    /// Returns what HTTP clients are told about an object. Files of a directory have no such thing.
    pub(super) fn attributes(&self, media_type: &'static str, encoding: Encoding) -> Attributes {
        let mut attributes = Attributes::new();
        if self.directory().is_some() {
            return attributes;
        }
        attributes.insert(Attribute::ContentType, media_type.into());
        if encoding.is_compressed() {
            attributes.insert(Attribute::ContentEncoding, encoding.name().into());
            // Google Cloud Storage unwraps gzip for clients that do not ask for it, which breaks the hash.
            attributes.insert(Attribute::CacheControl, "no-transform".into());
        }
        attributes
    }

    /// Returns the error of an `action` on the object `key`.
    pub(super) fn failed(
        &self,
        action: &'static str,
        key: &str,
        error: &object_store::Error,
    ) -> StorageError {
        let (refusal, reason) = diagnose(error);
        let (key, url) = (key.to_owned(), self.url.clone());
        match refusal {
            Refusal::NotFound if action == "read" || action == "copy" => {
                StorageError::NotFound { key, url }
            }
            Refusal::NotFound | Refusal::NoBucket => StorageError::NoBucket { url, reason },
            Refusal::Credentials => StorageError::Credentials {
                url,
                reason,
                variables: self.variables(),
            },
            Refusal::Denied => StorageError::Denied {
                action,
                key,
                url,
                reason,
            },
            Refusal::CannotSign => StorageError::CannotSign { url, reason },
            Refusal::Unsupported | Refusal::Failure => StorageError::Object {
                action,
                key,
                url,
                reason,
                transient: refusal == Refusal::Failure,
            },
        }
    }

    /// Returns the error of a write of the object `key` that a retry may complete.
    pub(super) fn interrupted(&self, key: &str, reason: String) -> StorageError {
        StorageError::Object {
            action: "write",
            key: key.to_owned(),
            url: self.url.clone(),
            reason,
            transient: true,
        }
    }

    fn variables(&self) -> &'static str {
        match &self.kind {
            Kind::Directory(_) => "the owner and the mode of the directory",
            Kind::Service(service) => service.variables(),
        }
    }
}
