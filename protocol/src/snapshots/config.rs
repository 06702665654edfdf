//! `[snapshots]` of the settings: where snapshots go, and in which forms and encodings.

use serde::{Deserialize, Deserializer, de};

use super::sealing::SealingKeys;
use crate::{
    manifest::{Form, RenditionKind},
    objects::{StorageError, check_url},
    settings::{SettingsError, invalid, list},
};

/// `[snapshots]` of the settings, for the worker that writes and the coordinator that reads.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotsConfig {
    /// `file:DIRECTORY`, `s3://BUCKET/PREFIX`, `az://CONTAINER/PREFIX` or `gs://BUCKET/PREFIX`, without
    /// credentials: those come from the environment.
    pub url: String,
    /// The renditions of each snapshot: none twice, and the file itself in at least one encoding, since the store's next job
    /// starts from it.
    #[serde(deserialize_with = "renditions")]
    pub renditions: Vec<RenditionKind>,
    /// Whether the newest snapshot of a store is also copied to `latest/`, to a name that stays.
    pub latest: bool,
    /// What happens to a snapshot with rows that no client can read.
    pub unreadable_rows: UnreadableRowsPolicy,
    /// Whether every object with rows is encrypted: then each of the renditions is a sealed one.
    #[serde(default)]
    pub sealed: bool,
    /// Wraps the keys of sealed snapshots. Needed if any of the renditions is sealed.
    #[serde(default)]
    pub sealing_key: SealingKeys,
}

impl SnapshotsConfig {
    /// Checks that the URL names a place, and what one value alone does not tell.
    ///
    /// # Errors
    /// [`SettingsError::Invalid`] names the setting.
    pub fn check(&self) -> Result<(), SettingsError> {
        if let Err(StorageError::Url { reason, .. }) = check_url(&self.url) {
            let problem = format!("is not a place for snapshots: {reason}");
            return invalid("snapshots.url", problem);
        }
        if let Some(plain) = self.renditions.iter().find(|kind| !kind.is_sealed())
            && self.sealed
        {
            return invalid(
                "snapshots.renditions",
                format!(
                    "has {plain}, which is not encrypted, and snapshots.sealed is true: list only file/sqlcipher4, \
                     file/chacha20, compact/sqlcipher4 and compact/chacha20"
                ),
            );
        }
        if let Some(sealed) = self.renditions.iter().find(|kind| kind.is_sealed())
            && self.sealing_key.is_empty()
        {
            return invalid(
                "snapshots.sealing_key",
                format!(
                    "is missing, and snapshots.renditions has {sealed}: set it to a key of 32 bytes, better in the \
                     environment, as SEEDBED_SNAPSHOTS__SEALING_KEY; `openssl rand -hex 32` makes one"
                ),
            );
        }
        Ok(())
    }
}

/// What happens to a snapshot with rows that no client can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnreadableRowsPolicy {
    /// It is stored, and the log and its manifest name the rows.
    #[default]
    Warn,
    /// Its job fails.
    Refuse,
}

fn renditions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<RenditionKind>, D::Error> {
    let names = list(deserializer)?;
    let kinds = names.iter().map(|name| name.parse());
    let renditions: Vec<RenditionKind> =
        kinds.collect::<Result<_, _>>().map_err(de::Error::custom)?;
    let twice = |(index, kind)| renditions[..index].contains(kind);
    if renditions.iter().enumerate().any(twice) {
        return Err(de::Error::custom("list none twice"));
    }
    if !renditions.iter().any(|kind| kind.form == Form::File) {
        return Err(de::Error::custom(
            "list at least one of \"file/identity\", \"file/gzip\", \"file/zstd\", \"file/sqlcipher4\" and \"file/chacha20\": a store's next job starts from it",
        ));
    }
    Ok(renditions)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_snapshot_has_each_of_its_renditions_once() {
        let config = |renditions: serde_json::Value| {
            let config = json!({ "url": "file:x", "renditions": renditions, "latest": false, "unreadable_rows": "warn" });
            serde_json::from_value::<SnapshotsConfig>(config)
        };
        let good = config(json!(["compact/gzip", "file/identity"])).unwrap();
        let names: Vec<_> = good.renditions.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["compact/gzip", "file/identity"]);
        let text = config(json!("compact/gzip, file/identity")).unwrap();
        assert_eq!(text.renditions, good.renditions);
        for (bad, reason) in [
            (json!([]), "at least one"),
            (json!(["compact/gzip"]), "at least one"),
            (json!(["file/gzip", "file/gzip"]), "none twice"),
            (json!(["file/brotli"]), "\"file/brotli\" is not"),
        ] {
            let error = config(bad).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
