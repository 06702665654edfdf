//! `[snapshots]` of the settings: where snapshots go, and in which encodings.

use serde::{
    Deserialize, Deserializer,
    de::{self, IntoDeserializer, value::StrDeserializer},
};

use crate::{manifest::Encoding, settings::list};

/// `[snapshots]` of the settings, for the worker that writes and the coordinator that reads.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotsConfig {
    /// `file:DIRECTORY`, `s3://BUCKET/PREFIX`, `az://CONTAINER/PREFIX` or `gs://BUCKET/PREFIX`, without
    /// credentials: those come from the environment.
    pub url: String,
    /// The files of each snapshot: at least one, none twice.
    #[serde(deserialize_with = "renditions")]
    pub renditions: Vec<Encoding>,
    /// Whether the newest snapshot of a store is also copied to `latest/`, to a name that stays.
    pub latest: bool,
    /// What happens to a snapshot with rows that no client can read.
    pub unreadable_rows: UnreadableRowsPolicy,
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

fn renditions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Encoding>, D::Error> {
    let names = list(deserializer)?;
    let encodings = names.iter().map(|name| {
        let name: StrDeserializer<'_, D::Error> = name.as_str().into_deserializer();
        Encoding::deserialize(name)
    });
    let renditions: Vec<Encoding> = encodings.collect::<Result<_, _>>()?;
    let twice = |(index, encoding)| renditions[..index].contains(encoding);
    if renditions.is_empty() || renditions.iter().enumerate().any(twice) {
        return Err(de::Error::custom(
            "list at least one of \"identity\", \"gzip\" and \"zstd\", and none twice",
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
        let good = config(json!(["zstd", "identity"])).unwrap();
        assert_eq!(good.renditions, [Encoding::Zstd, Encoding::Identity]);
        let text = config(json!("zstd, identity")).unwrap();
        assert_eq!(text.renditions, good.renditions);
        for bad in [json!([]), json!(["gzip", "gzip"])] {
            let error = config(bad).unwrap_err().to_string();
            assert!(error.contains("none twice"), "{error}");
        }
        assert!(config(json!(["brotli"])).is_err());
    }
}
