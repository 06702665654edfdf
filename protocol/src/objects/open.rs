//! Opens object storage: from a URL and the environment to a directory or a bucket.

use std::{io, sync::Arc, time::Duration};

use http::Method;
use object_store::{
    ObjectStore, local::LocalFileSystem, path::Path as Key, prefix::PrefixStore, signer::Signer,
};
use url::Url;

use super::{
    error::StorageError,
    place::{Kind, Place, Service},
    services::{self, Client, sas::AzureSigner},
};
use crate::error::chain;

/// Signs URLs of one bucket.
#[derive(Debug, Clone)]
pub(super) struct BucketSigner {
    signer: Arc<dyn Signer>,
    azure_signer: Option<AzureSigner>,
    prefix: Key,
}

impl BucketSigner {
    /// Returns a URL by which anyone can read the object `key` for `lifetime`.
    pub(super) async fn sign(&self, key: &str, lifetime: Duration) -> object_store::Result<Url> {
        let key = self.prefix.parts().chain(Key::from(key).parts()).collect();
        let Some(azure) = &self.azure_signer else {
            return self.signer.signed_url(Method::GET, &key, lifetime).await;
        };
        let mut url = azure.container().clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(key.parts());
        }
        match azure.sign(&url, lifetime).await? {
            Some(signed) => Ok(signed),
            None => self.signer.signed_url(Method::GET, &key, lifetime).await,
        }
    }
}

pub(super) struct Opened {
    pub(super) place: Place,
    pub(super) objects: Arc<dyn ObjectStore>,
    /// The same, but deletes objects one by one, where `objects` deletes them together.
    pub(super) singly: Option<Arc<dyn ObjectStore>>,
    /// None for a directory.
    pub(super) signer: Option<BucketSigner>,
}

/// Opens what `url` names. A directory is made if it is missing; whether a bucket is there is not looked at.
/// `variables` are those of the environment.
pub(super) fn open(
    url: &str,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Opened, StorageError> {
    if let Some(path) = url.strip_prefix("file:") {
        return open_directory(url, directory_of(url, path)?);
    }
    let Bucket {
        service,
        name: bucket,
        prefix,
    } = bucket_of(url)?;
    let Client {
        objects,
        singly,
        signer,
        azure_signer,
    } = services::open(service, &bucket, variables).map_err(|error| StorageError::Environment {
        url: url.to_owned(),
        reason: chain(&error),
        variables: service.variables(),
    })?;
    let place = Place {
        url: url.trim_end_matches('/').to_owned(),
        kind: Kind::Service(service),
    };
    let below_prefix = |objects: Arc<dyn ObjectStore>| -> Arc<dyn ObjectStore> {
        if prefix.is_root() {
            objects
        } else {
            Arc::new(PrefixStore::new(objects, prefix.clone()))
        }
    };
    let (objects, singly) = (below_prefix(objects), singly.map(below_prefix));
    let signer = Some(BucketSigner {
        signer,
        azure_signer,
        prefix,
    });
    Ok(Opened {
        place,
        objects,
        singly,
        signer,
    })
}

/// A bucket of a service, and the prefix of its keys.
struct Bucket {
    service: Service,
    name: String,
    prefix: Key,
}

/// Checks that `url` names a place, without looking whether it is there.
///
/// # Errors
/// [`StorageError::Url`].
pub fn check_url(url: &str) -> Result<(), StorageError> {
    match url.strip_prefix("file:") {
        Some(path) => directory_of(url, path).map(drop),
        None => bucket_of(url).map(drop),
    }
}

fn bucket_of(url: &str) -> Result<Bucket, StorageError> {
    let bad = |reason: &str| StorageError::Url {
        url: without_secrets(url),
        reason: reason.to_owned(),
    };
    let parsed = Url::parse(url).ok();
    let service = parsed
        .as_ref()
        .and_then(|url| Service::of_scheme(url.scheme()));
    let (Some(parsed), Some(service)) = (parsed, service) else {
        return Err(bad(
            "it must be file:DIRECTORY, s3://BUCKET/PREFIX, az://CONTAINER/PREFIX or gs://BUCKET/PREFIX",
        ));
    };
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(bad(&format!(
            "credentials do not belong into it; set {}",
            service.variables()
        )));
    }
    if parsed.query().is_some() || parsed.fragment().is_some() || parsed.port().is_some() {
        return Err(bad("it may only have a bucket and a prefix"));
    }
    let bucket = parsed.host_str().filter(|bucket| !bucket.is_empty());
    let bucket = bucket.ok_or_else(|| bad("the bucket is missing after ://"))?;
    let prefix = Key::from_url_path(parsed.path().trim_end_matches('/'))
        .map_err(|_| bad("its prefix is not a key"))?;
    Ok(Bucket {
        service,
        name: bucket.to_owned(),
        prefix,
    })
}

fn directory_of<'u>(url: &str, path: &'u str) -> Result<&'u str, StorageError> {
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() {
        return Err(StorageError::Url {
            url: url.to_owned(),
            reason: "the directory is missing after file:".to_owned(),
        });
    }
    Ok(path)
}

fn open_directory(url: &str, path: &str) -> Result<Opened, StorageError> {
    let cannot_use = |source| StorageError::Directory {
        path: path.into(),
        source,
    };
    std::fs::create_dir_all(path).map_err(cannot_use)?;
    let directory = std::fs::canonicalize(path).map_err(cannot_use)?;
    let objects = LocalFileSystem::new_with_prefix(&directory)
        .map_err(|e| cannot_use(io::Error::other(e)))?
        .with_fsync(true);
    let place = Place {
        url: url.to_owned(),
        kind: Kind::Directory(directory),
    };
    Ok(Opened {
        place,
        objects: Arc::new(objects),
        singly: None,
        signer: None,
    })
}

/// Returns a URL without what may be secret in it.
fn without_secrets(url: &str) -> String {
    let plain = url.split(['?', '#']).next().unwrap_or_default();
    match (plain.split_once("://"), plain.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) => format!("{scheme}://{place}"),
        (None, Some((_, place))) => place.to_owned(),
        (_, None) => plain.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> String {
        let variables = [("AZURE_STORAGE_ACCOUNT_NAME", "me"), ("AZURE_X", "y")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let error = open(url, variables).map(|_| ()).unwrap_err();
        assert!(!error.is_transient());
        error.to_string()
    }

    #[test]
    fn urls_that_name_no_place_are_refused_by_name() {
        for (url, reason) in [
            ("ftp://x", "file:DIRECTORY"),
            ("snapshots", "file:DIRECTORY"),
            ("file:", "directory is missing"),
            ("s3://", "bucket is missing"),
            ("az:///prefix", "bucket is missing"),
            ("s3://bucket:9000/prefix", "bucket and a prefix"),
            ("gs://bucket/prefix?x=y", "bucket and a prefix"),
        ] {
            let error = refused(url);
            assert!(error.contains("snapshots.url"), "{error}");
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_secret_in_the_url_is_refused_and_not_shown() {
        for url in [
            "s3://key:hunter2@bucket/x",
            "ftp://key:hunter2@host",
            "az://container/x?sig=hunter2",
            "s3://key:hunter2/x@bucket",
        ] {
            let error = refused(url);
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn an_environment_that_lacks_something_is_refused_by_name() {
        let half = [("AWS_ACCESS_KEY_ID".to_owned(), "key".to_owned())];
        let error = open("s3://bucket", half).map(|_| ()).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("AWS_SECRET_ACCESS_KEY"), "{error}");
        let error = open("az://container", []).map(|_| ()).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("AZURE_STORAGE_ACCOUNT_NAME"), "{error}");
    }
}
