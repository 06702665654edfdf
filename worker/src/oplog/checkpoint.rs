//! The checkpoint that a stream is heading for: every bucket with its checksum, from `checkpoint` and
//! `checkpoint_diff` lines.

use std::collections::{BTreeMap, HashSet};

use seedbed_protocol::{
    OpId,
    manifest::{BucketCheckpoint, Checkpoint},
};
use serde::{Deserialize, Deserializer, de};

use super::checksum::Checksum;

/// The priority of buckets whose line does not name one, as PowerSync's SDKs assume.
const DEFAULT_PRIORITY: u8 = 3;

/// `{"checkpoint":…}`
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct CheckpointLine {
    #[serde(deserialize_with = "op_id")]
    last_op_id: OpId,
    buckets: Vec<BucketLine>,
    #[serde(default)]
    streams: Option<Vec<StreamLine>>,
}

/// `{"checkpoint_diff":…}`
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct CheckpointDiffLine {
    #[serde(deserialize_with = "op_id")]
    last_op_id: OpId,
    updated_buckets: Vec<BucketLine>,
    removed_buckets: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct BucketLine {
    bucket: String,
    checksum: Checksum,
    priority: Option<u8>,
    /// A number that BSON may write as a double.
    #[serde(default)]
    count: f64,
    /// Why the bucket is in the checkpoint. Services without Sync Streams do not say.
    #[serde(default)]
    subscriptions: Option<Vec<SubscriptionLine>>,
}

/// `{"default":n}` or `{"sub":n}`
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct SubscriptionLine {
    /// The place of an explicit subscription in the request; a number that BSON may write as a double.
    #[serde(default)]
    sub: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct StreamLine {
    name: String,
    #[serde(default)]
    errors: Vec<StreamErrorLine>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct StreamErrorLine {
    message: String,
}

fn op_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OpId, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse()
        .map(OpId)
        .map_err(|_| de::Error::custom(format!("{text:?} is not an op id")))
}

/// A bucket of the target.
#[derive(Debug, Clone)]
struct TargetBucket {
    checksum: u32,
    priority: u8,
    operations: u64,
    /// The explicit subscriptions that select it, by their place in the request.
    explicit: Box<[usize]>,
}

/// The target of a stream: the checkpoint that it is heading for.
#[derive(Debug, Clone, Default)]
pub struct TargetCheckpoint {
    last_op_id: OpId,
    buckets: BTreeMap<String, TargetBucket>,
    streams: Option<Vec<StreamLine>>,
}

impl From<CheckpointLine> for TargetCheckpoint {
    fn from(line: CheckpointLine) -> Self {
        let mut target = Self {
            last_op_id: line.last_op_id,
            buckets: BTreeMap::new(),
            streams: line.streams,
        };
        target.update(line.buckets);
        target
    }
}

impl TargetCheckpoint {
    /// Applies a `checkpoint_diff` line to the target.
    pub fn apply(&mut self, line: CheckpointDiffLine) {
        self.last_op_id = line.last_op_id;
        for removed in &line.removed_buckets {
            self.buckets.remove(removed);
        }
        self.update(line.updated_buckets);
    }

    fn update(&mut self, buckets: Vec<BucketLine>) {
        for bucket in buckets {
            let state = TargetBucket {
                checksum: bucket.checksum.0,
                priority: bucket.priority.unwrap_or(DEFAULT_PRIORITY),
                operations: bucket.count as u64,
                explicit: bucket
                    .subscriptions
                    .iter()
                    .flatten()
                    .filter_map(|reason| Some(reason.sub? as usize))
                    .collect(),
            };
            self.buckets.insert(bucket.bucket, state);
        }
    }

    /// Returns whether it has no bucket: the claims select nothing at all.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// Returns whether it has this bucket.
    pub(crate) fn has_bucket(&self, name: &str) -> bool {
        self.buckets.contains_key(name)
    }

    /// Returns the checksums of the buckets up to this priority number (0 is most urgent); without one, of all.
    pub(crate) fn checksums(&self, priority: Option<u8>) -> impl Iterator<Item = (&str, u32)> {
        let wanted = move |of: u8| priority.is_none_or(|last| of <= last);
        self.buckets
            .iter()
            .filter(move |(_, bucket)| wanted(bucket.priority))
            .map(|(name, bucket)| (name.as_str(), bucket.checksum))
    }

    /// Returns whether the service does not know this stream. Services without Sync Streams do not say, which counts
    /// as known.
    pub fn lacks_stream(&self, name: &str) -> bool {
        self.streams
            .as_ref()
            .is_some_and(|streams| !streams.iter().any(|stream| stream.name == name))
    }

    /// Returns which of so many explicit subscriptions of the request select no bucket, by their place in it. None of a
    /// service without Sync Streams, which does not say.
    pub fn without_bucket(&self, subscriptions: usize) -> Vec<usize> {
        if self.streams.is_none() {
            return Vec::new();
        }
        let matched: HashSet<usize> = self
            .buckets
            .values()
            .flat_map(|bucket| bucket.explicit.iter().copied())
            .collect();
        let places = 0..subscriptions;
        places.filter(|place| !matched.contains(place)).collect()
    }

    /// Returns a stream that the service could not resolve, so that its rows are missing, and the reason.
    pub fn broken_stream(&self) -> Option<(&str, &str)> {
        let mut streams = self.streams.iter().flatten();
        streams.find_map(|stream| {
            Some((
                stream.name.as_str(),
                stream.errors.first()?.message.as_str(),
            ))
        })
    }

    /// Returns the checkpoint as a manifest has it; `last_op` returns a bucket's last operation.
    pub fn checkpoint(&self, last_op: impl Fn(&str) -> OpId) -> Checkpoint {
        let bucket = |(bucket, state): (&String, &TargetBucket)| BucketCheckpoint {
            bucket: bucket.clone(),
            last_op: last_op(bucket),
            checksum: state.checksum,
            priority: state.priority,
            operations: state.operations,
        };
        Checkpoint {
            last_op_id: self.last_op_id,
            buckets: self.buckets.iter().map(bucket).collect(),
        }
    }
}
