//! Random histories of a store, as the lines of a stream.

use std::collections::BTreeMap;

use rand::{Rng, RngCore, seq::IndexedRandom};
use seedbed_worker::{
    oplog::Schema,
    powersync::{Line, LineFormat},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::content::{Drawn, FEW_IDS, MANY_IDS, bson_document, schema, spoil};

const BUCKETS: [&str; 4] = ["a", "1#store[\"x\"]", "2#categories|0[]", "日本"];

const STREAMS: [&str; 2] = ["store_products", "categories"];

/// What is done to a database, in order.
#[derive(Debug)]
pub(super) enum Step {
    Start,
    /// Ends the sync, and begins one on top of what it made.
    Resume,
    Line(Line),
}

/// A stream, from the first connection to some complete checkpoints, of which each may be the base of the next.
#[derive(Debug)]
pub(super) struct History {
    pub(super) steps: Vec<Step>,
    pub(super) subscriptions: Vec<String>,
    schema: Option<Value>,
}

impl History {
    pub(super) fn random(random: &mut dyn RngCore) -> Self {
        let subscriptions = STREAMS
            .iter()
            .filter(|_| random.random_bool(0.2))
            .map(|stream| (*stream).to_owned())
            .collect();
        let schema = random.random_bool(0.6).then(|| schema(random));
        let mut writer = Writer::new(random);
        writer.write();
        Self {
            steps: writer.steps,
            subscriptions,
            schema,
        }
    }

    /// One stream of these lines, without a schema.
    pub(super) fn of(lines: Vec<Line>) -> Self {
        let lines = lines.into_iter().map(Step::Line);
        Self {
            steps: std::iter::once(Step::Start).chain(lines).collect(),
            subscriptions: Vec::new(),
            schema: None,
        }
    }

    pub(super) fn schema(&self, directory: &TempDir) -> Schema {
        let Some(schema) = &self.schema else {
            return Schema::Inferred;
        };
        let file = directory.path().join("schema.json");
        std::fs::write(&file, schema.to_string()).unwrap();
        Schema::load(Some(&file)).unwrap()
    }
}

/// What the service knows of a bucket, and how much of it was sent.
#[derive(Default)]
struct Bucket {
    priority: Option<u8>,
    operations: Vec<Value>,
    checksum: u32,
    /// Whether the last checkpoint had another checksum.
    wrong: bool,
    sent: usize,
}

struct Writer<'a> {
    random: &'a mut dyn RngCore,
    format: LineFormat,
    /// How often something comes that no service sends.
    oddity: f64,
    buckets: BTreeMap<&'static str, Bucket>,
    /// A bucket that the store has later, with operations that are older than some of the others.
    later: Option<(&'static str, Bucket)>,
    priorities: bool,
    /// From how many ids rows have theirs: of few, many rows are in several buckets, of many, hardly any.
    ids: u32,
    last_op: u64,
    counts: bool,
    steps: Vec<Step>,
}

impl<'a> Writer<'a> {
    fn new(random: &'a mut dyn RngCore) -> Self {
        let format = if random.random() {
            LineFormat::Bson
        } else {
            LineFormat::Ndjson
        };
        let oddity = if random.random_bool(0.15) { 0.02 } else { 0.0 };
        let counts = random.random_bool(0.8);
        let priorities = random.random_bool(0.4);
        Self {
            random,
            format,
            oddity,
            buckets: BTreeMap::new(),
            later: None,
            priorities,
            ids: FEW_IDS,
            last_op: 0,
            counts,
            steps: Vec::new(),
        }
    }

    fn write(&mut self) {
        for bucket in BUCKETS {
            if self.buckets.is_empty() || self.random.random_bool(0.5) {
                self.add_bucket(bucket);
            }
        }
        let mut operations = self.random.random_range(0..120);
        if self.random.random_bool(0.05) {
            self.ids = MANY_IDS;
            operations *= 20;
        }
        self.happen(operations);
        // A client would show an older row of a more urgent bucket, until it changes; a snapshot shows the newest.
        if !self.priorities && self.buckets.len() > 1 && self.random.random_bool(0.3) {
            self.later = self.buckets.pop_last();
        }
        self.connect();
        while !self.send_until_something_happens() || !self.complete() {}
        for _ in 0..self.random.random_range(0..4) {
            if self.random.random_bool(0.5) {
                self.buckets.extend(self.later.take());
            }
            if self.random.random_bool(0.2) {
                let bucket = BUCKETS.choose(self.random).unwrap();
                let later = self.later.as_ref();
                if !self.buckets.contains_key(bucket)
                    && later.is_none_or(|(name, _)| name != bucket)
                {
                    self.add_bucket(bucket);
                }
            }
            let operations = self.random.random_range(0..30);
            self.happen(operations);
            match self.random.random_range(0..3) {
                0 => self.connect(),
                1 => self.diff(),
                _ => {
                    self.steps.push(Step::Resume);
                    drop(self.removed_bucket());
                    self.connect();
                }
            }
            while !self.send_until_something_happens() || !self.complete() {}
        }
    }

    fn add_bucket(&mut self, name: &'static str) {
        let bucket = self.buckets.entry(name).or_default();
        bucket.priority = match self.priorities {
            true => Some(self.random.random_range(0..4)),
            false => None,
        };
    }

    /// New operations in the source.
    fn happen(&mut self, operations: usize) {
        let names: Vec<_> = self.buckets.keys().copied().collect();
        for _ in 0..operations {
            let name = *names.choose(self.random).unwrap();
            self.last_op += self.random.random_range(1..20);
            let operation = self.operation(name);
            self.buckets
                .get_mut(name)
                .unwrap()
                .operations
                .push(operation);
        }
    }

    fn operation(&mut self, bucket: &'static str) -> Value {
        let (random, ids) = (&mut *self.random, self.ids);
        let checksum: u32 = match random.random_range(0..4) {
            0 => [0, 1, u32::MAX, 1 << 31][random.random_range(0..4)],
            _ => random.random(),
        };
        let bucket = self.buckets.get_mut(bucket).unwrap();
        let clear =
            bucket.operations.is_empty() && random.random_bool(0.2) || random.random_bool(0.004);
        bucket.checksum = if clear {
            checksum
        } else {
            bucket.checksum.wrapping_add(checksum)
        };
        let drawn = Drawn {
            op_id: self.last_op,
            checksum,
            clear,
            ids,
            format: self.format,
        };
        let mut operation = drawn.operation(random);
        if random.random_bool(self.oddity) {
            spoil(random, &mut operation);
        }
        operation
    }

    fn connect(&mut self) {
        self.steps.push(Step::Start);
        let mut streams = Vec::new();
        for stream in STREAMS {
            if self.random.random_bool(0.8) {
                let is_default = self.random.random_bool(0.7);
                streams.push(json!({ "name": stream, "is_default": is_default, "errors": [] }));
            }
        }
        let default = !streams.is_empty();
        let names: Vec<_> = self.buckets.keys().copied().collect();
        let buckets: Vec<_> = names
            .iter()
            .map(|name| self.bucket_line(name, default))
            .collect();
        let last_op_id = self.last_op.to_string();
        self.line(json!({ "checkpoint": { "last_op_id": last_op_id, "buckets": buckets, "streams": streams } }));
    }

    fn diff(&mut self) {
        let names: Vec<_> = self.buckets.keys().copied().collect();
        let updated: Vec<_> = names
            .iter()
            .map(|name| self.bucket_line(name, false))
            .collect();
        let removed = self.removed_bucket();
        let updated: Vec<_> = updated
            .into_iter()
            .filter(|line| !removed.iter().any(|name| line["bucket"] == *name))
            .collect();
        let last_op_id = self.last_op.to_string();
        self.line(json!({ "checkpoint_diff": { "last_op_id": last_op_id, "updated_buckets": updated, "removed_buckets": removed } }));
    }

    fn removed_bucket(&mut self) -> Vec<&'static str> {
        if self.buckets.len() < 2 || !self.random.random_bool(0.15) {
            return Vec::new();
        }
        let names: Vec<_> = self.buckets.keys().copied().collect();
        let name = *names.choose(self.random).unwrap();
        self.buckets.remove(name);
        vec![name]
    }

    fn bucket_line(&mut self, name: &str, default: bool) -> Value {
        let bucket = self.buckets.get_mut(name).unwrap();
        let wrong = self.random.random_bool(0.02);
        bucket.wrong = wrong;
        let checksum = bucket.checksum.wrapping_add(u32::from(wrong));
        let mut line = json!({ "bucket": name, "checksum": checksum as i32 });
        if self.counts {
            line["count"] = json!(bucket.operations.len());
        }
        if let Some(priority) = bucket.priority {
            line["priority"] = json!(priority);
        }
        if default {
            line["subscriptions"] = json!([{ "default": 0 }]);
        }
        line
    }

    /// Sends data in the order of the priorities; `false` when the service or the connection changed before all
    /// was sent.
    fn send_until_something_happens(&mut self) -> bool {
        let mut groups: Vec<u8> = self.buckets.values().map(Bucket::priority).collect();
        groups.sort_unstable();
        groups.dedup();
        let last = groups.pop();
        for group in groups {
            if !self.send_group(|priority| priority <= group) {
                return false;
            }
            if !self.partially_complete(group) {
                return false;
            }
        }
        last.is_none_or(|_| self.send_group(|_| true))
    }

    fn send_group(&mut self, wanted: impl Fn(u8) -> bool) -> bool {
        while self.send_line(&wanted) {
            match self.random.random_range(0..60) {
                // The connection breaks.
                0 => {
                    self.connect();
                    return false;
                }
                // The source changes during the download.
                1 => {
                    self.happen(3);
                    self.diff();
                    return false;
                }
                _ => {}
            }
        }
        true
    }

    fn send_line(&mut self, wanted: impl Fn(u8) -> bool) -> bool {
        let waiting: Vec<_> = self
            .buckets
            .iter()
            .filter(|(_, bucket)| {
                wanted(bucket.priority()) && bucket.sent < bucket.operations.len()
            })
            .map(|(name, _)| *name)
            .collect();
        let Some(name) = waiting.choose(self.random) else {
            return false;
        };
        let bucket = self.buckets.get_mut(name).unwrap();
        let rest = bucket.operations.len() - bucket.sent;
        let count = match self.random.random_range(0..10) {
            0 => 0,
            1 => 1,
            _ => self.random.random_range(1..=rest),
        };
        let operations = bucket.operations[bucket.sent..][..count].to_vec();
        bucket.sent += count;
        let line = json!({ "data": { "bucket": name, "data": operations, "has_more": count < rest, "after": "0", "next_after": "1" } });
        self.line(line);
        true
    }

    fn partially_complete(&mut self, priority: u8) -> bool {
        let line = json!({ "partial_checkpoint_complete": { "last_op_id": self.last_op.to_string(), "priority": priority } });
        self.line(line);
        self.go_on(|of| of <= priority)
    }

    fn complete(&mut self) -> bool {
        let line = json!({ "checkpoint_complete": { "last_op_id": self.last_op.to_string() } });
        self.line(line);
        self.go_on(|_| true)
    }

    /// Whether the client continues; if not, it drops the buckets whose checksums are wrong and reconnects.
    fn go_on(&mut self, wanted: impl Fn(u8) -> bool) -> bool {
        let mut wrong: Vec<_> = self
            .buckets
            .values_mut()
            .filter(|bucket| bucket.wrong && wanted(bucket.priority()))
            .collect();
        let goes_on = wrong.is_empty();
        for bucket in &mut wrong {
            bucket.sent = 0;
        }
        if !goes_on {
            self.connect();
        }
        goes_on
    }

    fn line(&mut self, line: Value) {
        let line = self.encode(&line);
        self.steps.push(Step::Line(line));
    }

    fn encode(&self, line: &Value) -> Line {
        let bytes = match self.format {
            LineFormat::Ndjson => line.to_string().into_bytes(),
            LineFormat::Bson => bson_document(line),
        };
        Line {
            format: self.format,
            bytes: bytes.into(),
        }
    }
}

impl Bucket {
    fn priority(&self) -> u8 {
        self.priority.unwrap_or(3)
    }
}
