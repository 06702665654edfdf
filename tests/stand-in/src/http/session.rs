//! One client's stream, line by line.

use crate::auth::Verified;
use crate::data::checkpoint::{BucketState, Checkpoint};
use crate::http::keepalive::Keepalive;
use crate::request::{Format, StreamRequest};
use crate::state::service::Service;
use crate::wire::line::DataLine;
use async_stream::stream;
use futures::Stream;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use tokio::time::{Instant, sleep_until};

/// The most operations the service reads at once, over all buckets of a priority.
const BATCH_OPS: usize = 1000;
/// A data line is cut before its rows' texts grow beyond this many bytes (two rows of 450 kB share a line, three of
/// 300 kB too).
const LINE_BYTES: usize = 1024 * 1024;

/// One encoded line.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) bytes: Vec<u8>,
    pub(crate) operations: u64,
}

/// A connected client.
pub(crate) struct Session {
    service: Arc<Service>,
    request: StreamRequest,
    claims: Map<String, Value>,
    format: Format,
    deployment: u64,
    falsify_checksums: bool,
    keepalive: Keepalive,
    /// The last operation the client has of each bucket.
    positions: HashMap<String, u64>,
    /// Buckets of the current checkpoint whose end has not been sent. A checkpoint that interrupts another continues
    /// with them.
    pending: HashSet<String>,
    /// Operations sent since the current checkpoint was announced.
    sent: usize,
}

/// A checkpoint to send, and what of it to download.
struct Announcement {
    checkpoint: Checkpoint,
    line: Value,
    groups: Vec<Group>,
}

/// The buckets of one priority, by name: the order in which the service reads them.
struct Group {
    priority: u8,
    buckets: Vec<String>,
    next: usize,
    batch_left: usize,
}

/// The outcome of asking for the next data line.
enum Next {
    Line(Line),
    /// The group is complete.
    Complete,
    /// The sync config has changed: the stream is over.
    Over,
}

impl Session {
    /// Starts from the positions in the request. `after` that is no number is the client's mistake.
    pub(crate) fn new(
        service: &Arc<Service>,
        request: StreamRequest,
        token: Verified,
        format: Format,
    ) -> Result<Self, String> {
        let mut positions = HashMap::new();
        for bucket in &request.buckets {
            let after = match bucket.after.as_str() {
                "" => 0,
                number => number
                    .parse()
                    .map_err(|_| format!("buckets: {number:?} is not an operation id"))?,
            };
            positions.insert(bucket.name.clone(), after);
        }
        Ok(Self {
            service: Arc::clone(service),
            request,
            claims: token.claims,
            format,
            deployment: service.database().deployment(),
            falsify_checksums: false,
            keepalive: Keepalive::new(service.settings.keepalive, token.expires_at),
            positions,
            pending: HashSet::new(),
            sent: 0,
        })
    }

    /// Makes all checkpoints of this stream wrong.
    pub(crate) fn falsify_checksums(&mut self) {
        self.falsify_checksums = true;
    }

    /// How many buckets the client selects.
    pub(crate) fn bucket_count(&self) -> usize {
        Checkpoint::read(
            &self.service.database(),
            &self.claims,
            &self.request.streams,
        )
        .buckets
        .len()
    }

    /// The stream, until the token expires, the sync config changes or the service stops.
    pub(crate) fn lines(mut self) -> impl Stream<Item = Line> + Send {
        stream! {
            let mut changes = self.service.changes.subscribe();
            let mut current: Option<Checkpoint> = None;
            loop {
                if let Some(seconds) = self.keepalive.due() {
                    yield self.control(&json!({"token_expires_in": seconds}));
                    if seconds == 0 {
                        return;
                    }
                }
                changes.mark_unchanged();
                let Some(latest) = self.read_checkpoint() else { return };
                let Some(announcement) = self.announce(current.as_ref(), latest) else {
                    tokio::select! {
                        _ = changes.changed() => {}
                        () = sleep_until(self.keepalive.wake_at()) => {}
                        () = self.service.shutdown.cancelled() => return,
                    }
                    continue;
                };
                yield self.control(&announcement.line);
                let checkpoint = announcement.checkpoint;
                let last_op_id = checkpoint.last_op.to_string();
                let last_group = announcement.groups.len().saturating_sub(1);
                let mut interrupted = false;
                'download: for (position, mut group) in announcement.groups.into_iter().enumerate() {
                    loop {
                        if let Some(seconds) = self.keepalive.due() {
                            yield self.control(&json!({"token_expires_in": seconds}));
                            if seconds == 0 {
                                return;
                            }
                        }
                        let began = Instant::now();
                        match self.next_data(&mut group, checkpoint.last_op) {
                            Next::Line(line) => {
                                sleep_until(self.paced(began, &line)).await;
                                yield line;
                            }
                            Next::Complete => break,
                            Next::Over => return,
                        }
                        // Low priorities give way to news once they have had 1,000 operations.
                        if position > 0 && self.sent >= BATCH_OPS && self.has_news(&checkpoint) {
                            interrupted = true;
                            break 'download;
                        }
                    }
                    if position < last_group {
                        let complete = json!({"last_op_id": last_op_id, "priority": group.priority});
                        yield self.control(&json!({"partial_checkpoint_complete": complete}));
                    }
                }
                if !interrupted {
                    self.pending.clear();
                    yield self.control(&json!({"checkpoint_complete": {"last_op_id": last_op_id}}));
                }
                current = Some(checkpoint);
            }
        }
    }

    /// When a line that was begun at this time may be sent.
    fn paced(&self, began: Instant, line: &Line) -> Instant {
        let operations = u32::try_from(line.operations).unwrap_or(u32::MAX);
        began + self.service.settings.operation_time * operations
    }

    fn control(&self, line: &Value) -> Line {
        Line {
            bytes: self.format.line(line),
            operations: 0,
        }
    }

    /// The client's newest checkpoint; `None` if its stream is over.
    fn read_checkpoint(&self) -> Option<Checkpoint> {
        let database = self.service.database();
        if database.deployment() != self.deployment || self.service.shutdown.is_cancelled() {
            return None;
        }
        let mut checkpoint = Checkpoint::read(&database, &self.claims, &self.request.streams);
        if self.falsify_checksums {
            checkpoint.falsify_checksum();
        }
        Some(checkpoint)
    }

    fn has_news(&self, current: &Checkpoint) -> bool {
        self.read_checkpoint()
            .is_some_and(|latest| latest.difference(current).is_some())
    }

    /// Prepares the download of `latest`; `None` if the client has nothing new in it.
    fn announce(
        &mut self,
        current: Option<&Checkpoint>,
        latest: Checkpoint,
    ) -> Option<Announcement> {
        let line = match current {
            None => {
                let names: HashSet<_> = latest
                    .buckets
                    .iter()
                    .map(|bucket| bucket.name.as_str())
                    .collect();
                self.positions
                    .retain(|name, _| names.contains(name.as_str()));
                self.pending = names.into_iter().map(str::to_owned).collect();
                latest.full_line()
            }
            Some(current) => {
                let difference = latest.difference(current)?;
                for removed in &difference.removed {
                    self.positions.remove(removed);
                    self.pending.remove(removed);
                }
                self.pending
                    .extend(difference.updated.iter().map(|bucket| bucket.name.clone()));
                difference.line()
            }
        };
        self.sent = 0;
        let mut groups: BTreeMap<u8, Vec<String>> = BTreeMap::new();
        for BucketState { name, priority, .. } in &latest.buckets {
            if self.pending.contains(name) {
                groups.entry(*priority).or_default().push(name.clone());
            }
        }
        let groups = groups.into_iter().map(|(priority, mut buckets)| {
            buckets.sort_unstable();
            Group {
                priority,
                buckets,
                next: 0,
                batch_left: BATCH_OPS,
            }
        });
        Some(Announcement {
            groups: groups.collect(),
            line,
            checkpoint: latest,
        })
    }

    /// The next data line of a group.
    fn next_data(&mut self, group: &mut Group, up_to: u64) -> Next {
        let service = Arc::clone(&self.service);
        let database = service.database();
        if database.deployment() != self.deployment || service.shutdown.is_cancelled() {
            return Next::Over;
        }
        while let Some(name) = group.buckets.get(group.next) {
            let after = self.positions.get(name).copied().unwrap_or(0);
            let rest = database
                .bucket(name)
                .map(|bucket| bucket.between(after, up_to))
                .unwrap_or_default();
            let ops = fitting(&rest[..rest.len().min(group.batch_left)]);
            let Some(last) = ops.last() else {
                group.next += 1;
                continue;
            };
            group.batch_left -= ops.len();
            // Like the service, a batch that is full does not look whether it has also reached the end.
            let has_more = group.batch_left == 0 || ops.len() < rest.len();
            if group.batch_left == 0 {
                group.batch_left = BATCH_OPS;
            }
            if !has_more {
                self.pending.remove(name);
                group.next += 1;
            }
            self.sent += ops.len();
            let bytes = self.format.data_line(&DataLine {
                bucket: name,
                after,
                has_more,
                ops,
                next_after: last.op_id,
                deployment: self.deployment,
                raw_data: self.request.raw_data,
            });
            self.positions.insert(name.clone(), last.op_id);
            return Next::Line(Line {
                bytes,
                operations: ops.len() as u64,
            });
        }
        Next::Complete
    }
}

/// The operations that fit into one line: at least one.
fn fitting(ops: &[crate::data::bucket::Op]) -> &[crate::data::bucket::Op] {
    let mut bytes = 0;
    let end = ops.iter().position(|op| {
        bytes += op.text_len();
        bytes > LINE_BYTES
    });
    &ops[..end.map_or(ops.len(), |end| end.max(1))]
}
