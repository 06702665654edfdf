//! Which buckets a client gets, and in what state they are: checkpoints and the differences between them.

use crate::data::config::{Parameter, Source, StreamDefinition};
use crate::data::database::Database;
use crate::request::{StreamSelection, Subscription};
use serde_json::{Map, Value, json};

/// A consistent point for one client.
#[derive(Debug, Clone)]
pub(crate) struct Checkpoint {
    pub(crate) last_op: u64,
    pub(crate) buckets: Vec<BucketState>,
    streams: Vec<StreamState>,
}

/// A bucket as a checkpoint shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BucketState {
    pub(crate) name: String,
    pub(crate) checksum: u32,
    pub(crate) priority: u8,
    count: u64,
    because_of: Vec<Reason>,
}

/// Why a client gets a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// The request's subscription with this index.
    Subscription(usize),
    /// The auto-subscribed stream with this index in the checkpoint's list.
    Default(usize),
}

#[derive(Debug, Clone)]
struct StreamState {
    name: String,
    is_default: bool,
}

impl Checkpoint {
    /// The current state of what the claims and the selection of streams ask for.
    pub(crate) fn read(
        database: &Database,
        claims: &Map<String, Value>,
        selection: &StreamSelection,
    ) -> Self {
        let mut checkpoint = Self {
            last_op: database.last_op(),
            buckets: Vec::new(),
            streams: Vec::new(),
        };
        for stream in &database.config().streams {
            let is_default = stream.auto_subscribe && selection.include_defaults;
            let asked_for: Vec<_> = (selection.subscriptions.iter().enumerate())
                .filter(|(_, subscription)| subscription.stream == stream.name)
                .collect();
            if !is_default && asked_for.is_empty() {
                continue;
            }
            let position = checkpoint.streams.len();
            checkpoint.streams.push(StreamState {
                name: stream.name.clone(),
                is_default: stream.auto_subscribe,
            });
            let mut selected = Selected {
                database,
                claims,
                stream,
                buckets: Vec::new(),
            };
            for (index, subscription) in asked_for {
                selected.add(Reason::Subscription(index), Some(subscription));
            }
            if is_default {
                selected.add(Reason::Default(position), None);
            }
            checkpoint.buckets.append(&mut selected.buckets);
        }
        checkpoint
    }

    /// Damages the first bucket's checksum, for tests of clients that verify.
    pub(crate) fn falsify_checksum(&mut self) {
        if let Some(bucket) = self.buckets.first_mut() {
            bucket.checksum = bucket.checksum.wrapping_add(1);
        }
    }

    /// The line that starts a stream.
    pub(crate) fn full_line(&self) -> Value {
        let streams = self.streams.iter();
        json!({"checkpoint": {
            "last_op_id": self.last_op.to_string(),
            "buckets": self.buckets.iter().map(BucketState::to_json).collect::<Vec<_>>(),
            "streams": streams
                .map(|stream| json!({"name": stream.name, "is_default": stream.is_default, "errors": []}))
                .collect::<Vec<_>>(),
        }})
    }

    /// What has changed since `previous`; `None` if nothing has for this client.
    pub(crate) fn difference(&self, previous: &Self) -> Option<Difference> {
        let updated: Vec<_> = self
            .buckets
            .iter()
            .filter(|bucket| !previous.buckets.contains(bucket))
            .cloned()
            .collect();
        let removed: Vec<_> = (previous.buckets.iter())
            .filter(|old| !self.buckets.iter().any(|new| new.name == old.name))
            .map(|bucket| bucket.name.clone())
            .collect();
        (!updated.is_empty() || !removed.is_empty()).then_some(Difference {
            last_op: self.last_op,
            removed,
            updated,
        })
    }
}

/// The change from one checkpoint to the next.
#[derive(Debug)]
pub(crate) struct Difference {
    last_op: u64,
    pub(crate) removed: Vec<String>,
    pub(crate) updated: Vec<BucketState>,
}

impl Difference {
    /// The line that announces it.
    pub(crate) fn line(&self) -> Value {
        json!({"checkpoint_diff": {
            "last_op_id": self.last_op.to_string(),
            "removed_buckets": self.removed,
            "updated_buckets": self.updated.iter().map(BucketState::to_json).collect::<Vec<_>>(),
        }})
    }
}

impl BucketState {
    fn to_json(&self) -> Value {
        let reasons = self.because_of.iter().map(|reason| match reason {
            Reason::Subscription(index) => json!({"sub": index}),
            Reason::Default(index) => json!({"default": index}),
        });
        json!({
            "bucket": self.name,
            // Bucket checksums are signed on the wire.
            "checksum": self.checksum.cast_signed(),
            "count": self.count,
            "priority": self.priority,
            "subscriptions": reasons.collect::<Vec<_>>(),
        })
    }
}

/// The buckets of one stream that a client gets.
struct Selected<'a> {
    database: &'a Database,
    claims: &'a Map<String, Value>,
    stream: &'a StreamDefinition,
    buckets: Vec<BucketState>,
}

impl Selected<'_> {
    /// Adds the buckets that one subscription, or being a default stream, selects.
    fn add(&mut self, reason: Reason, subscription: Option<&Subscription>) {
        let parameters = subscription.and_then(|subscription| subscription.parameters.as_ref());
        let priority = subscription.and_then(|subscription| subscription.override_priority);
        let priority = priority.unwrap_or(self.stream.priority);
        for values in self.combinations(parameters) {
            let values = Value::Array(values).to_string();
            let database = self.database;
            let name = database
                .config()
                .bucket_name(database.deployment(), self.stream, &values);
            if let Some(known) = self.buckets.iter_mut().find(|bucket| bucket.name == name) {
                // The most urgent request for a bucket decides its priority.
                known.priority = known.priority.min(priority);
                known.because_of.push(reason);
                continue;
            }
            let (checksum, count) = database
                .bucket(&name)
                .map_or((0, 0), |bucket| (bucket.checksum(), bucket.count()));
            self.buckets.push(BucketState {
                name,
                checksum,
                priority,
                count,
                because_of: vec![reason],
            });
        }
    }

    /// The parameter values of all selected buckets. A missing value selects none.
    fn combinations(&self, parameters: Option<&Map<String, Value>>) -> Vec<Vec<Value>> {
        let mut combinations = vec![Vec::new()];
        for Parameter { source, .. } in &self.stream.parameters {
            let values = self.values(source, parameters);
            combinations = (combinations.iter())
                .flat_map(|start: &Vec<Value>| {
                    values
                        .iter()
                        .map(move |value| start.iter().chain([value]).cloned().collect())
                })
                .collect();
        }
        combinations
    }

    fn values(&self, source: &Source, parameters: Option<&Map<String, Value>>) -> Vec<Value> {
        match source {
            Source::Claim(name) => present(self.claims.get(name)),
            Source::Subscription(name) => {
                present(parameters.and_then(|parameters| parameters.get(name)))
            }
            Source::Lookup {
                table,
                column,
                matching,
            } => {
                let mut conditions = Vec::with_capacity(matching.len());
                for (column, source) in matching {
                    // One value a condition: a lookup in a lookup is no part of the configs this stands in for.
                    let Some(value) = self.values(source, parameters).into_iter().next() else {
                        return Vec::new();
                    };
                    conditions.push((column.as_str(), value));
                }
                let rows = self.database.matching(table, &conditions);
                rows.iter()
                    .flat_map(|row| present(row.get(column)))
                    .collect()
            }
        }
    }
}

fn present(value: Option<&Value>) -> Vec<Value> {
    value
        .filter(|value| !value.is_null())
        .cloned()
        .into_iter()
        .collect()
}
