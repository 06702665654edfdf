//! Prepares a database with the operations of some entries, as a job does with those of a store: loaded in bulk, scrubbed,
//! verified.

use std::sync::Arc;

use seedbed_protocol::manifest::Checkpoint;
use serde_json::{Map, Value, json};

use super::{
    prepared::{Template, TemplateError, blocking},
    set::Set,
};
use crate::{
    buckets::{
        entry::Entry,
        fill::{next_line, open_lines},
        near::CachedFile,
    },
    oplog::{Accepted, Applied, Change, OpLog, OpLogError, ReadLine, Schema, SyncOptions, Synced},
    powersync::{Line, LineFormat},
    settings::WorkerConfig,
    snapshot::{
        Stop,
        before::BasePages,
        scrub,
        verify::{Expected, SnapshotFile},
        write,
    },
};

/// An entry, and its lines.
pub(in crate::buckets) type Source = (Entry, Arc<CachedFile>);

/// What templates are made with: the schema of all jobs, and the memory of one.
#[derive(Debug)]
pub(in crate::buckets) struct Preparing {
    schema: Schema,
    cache_kib: u32,
    load_memory_kib: Option<u32>,
}

impl Preparing {
    pub(in crate::buckets) fn new(schema: Schema, worker: &WorkerConfig) -> Self {
        Self {
            schema,
            cache_kib: worker.cache_kib(),
            load_memory_kib: worker.load_memory_kib(),
        }
    }

    /// Makes the template of these entries: writes to the first of the files, and leaves it in the second.
    ///
    /// # Errors
    /// [`TemplateError`]; nothing is left then.
    pub(super) async fn prepare(
        &self,
        sources: &[Source],
        (writing, file): (CachedFile, CachedFile),
    ) -> Result<Template, TemplateError> {
        let path = writing.path().to_owned();
        let log = OpLog::create(path, self.schema.clone(), self.options()).await?;
        let synced = self.load(sources, log);
        // The interrupt is held here: the threads stop when this future is dropped.
        let Synced {
            connection,
            interrupt: _interrupt,
            checkpoint,
            dense,
            ..
        } = synced.await?;
        let set = Set::of(sources.iter().map(|(entry, _)| entry));
        is_at(&set, &checkpoint)?;
        let target = file.path().to_owned();
        let finishing = move || {
            scrub(&connection)?;
            write(connection, dense, None, &target)?;
            Ok::<_, TemplateError>(())
        };
        blocking(finishing).await?;
        let pages = self.verify(&file, checkpoint).await?;
        let bytes = std::fs::metadata(file.path())?.len();
        Ok(Template {
            set,
            file,
            bytes,
            pages,
        })
    }

    /// Hands the log a checkpoint of these entries, and their lines.
    async fn load(&self, sources: &[Source], mut log: OpLog) -> Result<Synced, TemplateError> {
        let refused = |reason: &str| TemplateError::Checkpoint(reason.to_owned());
        let mut buckets = Vec::new();
        for (entry, lines) in sources {
            buckets.push(json!({
                "bucket": entry.bucket,
                "checksum": checksum(lines).await?,
                "count": entry.operations,
                "priority": 3,
            }));
        }
        let positions = sources.iter().map(|(entry, _)| entry.after);
        let last = positions.max().unwrap_or_default().to_string();
        let target = json!({ "checkpoint": { "last_op_id": last, "buckets": buckets } });
        let complete = json!({ "checkpoint_complete": { "last_op_id": last } });
        log.request().await?;
        log.accept(line(&target)).await?;
        for (_, lines) in sources {
            let mut lines = open_lines(lines).await?;
            while let Some(line) = next_line(&mut lines).await? {
                log.accept(line).await?;
            }
        }
        let Accepted::Complete(complete) = log.accept(line(&complete)).await? else {
            return Err(refused("it is not complete"));
        };
        match log.apply(complete).await? {
            Applied::Yes => Ok(log.finish().await?),
            Applied::No(reason) => Err(refused(&reason)),
        }
    }

    /// Verifies the file as a snapshot, and returns its pages. Rows that no client can read are a job's to tell of.
    async fn verify(
        &self,
        file: &CachedFile,
        checkpoint: Checkpoint,
    ) -> Result<BasePages, TemplateError> {
        let open = SnapshotFile::open(file.path())?;
        let stop = Stop::default();
        let _abandon = (open.abandon_on_drop(), stop.on_drop());
        let (path, schema) = (file.path().to_owned(), self.schema.clone());
        let verifying = move || {
            let expected = Expected {
                checkpoint: Some(&checkpoint),
                raw_tables: schema.raw_tables(),
            };
            open.verify(&expected)?.refuse_unreadable()?;
            Ok::<_, TemplateError>(BasePages::read(&path, &stop)?)
        };
        blocking(verifying).await
    }

    /// It asks for nothing, so that it is any store's.
    fn options(&self) -> SyncOptions {
        SyncOptions {
            parameters: Map::new(),
            default_streams: false,
            subscriptions: Vec::new(),
            subscription_ttl: 0,
            cache_kib: self.cache_kib,
            load_memory_kib: self.load_memory_kib,
        }
    }
}

/// Refuses a checkpoint that is not at the positions of these entries.
fn is_at(set: &Set, checkpoint: &Checkpoint) -> Result<(), TemplateError> {
    for (bucket, after) in set.positions() {
        let mut found = checkpoint.buckets.iter();
        if !found.any(|found| found.bucket == bucket && found.last_op.0 == after) {
            let reason = "a bucket is not at the position of its entry";
            return Err(TemplateError::Checkpoint(reason.to_owned()));
        }
    }
    Ok(())
}

/// Returns the checksum of a bucket with these lines.
async fn checksum(lines: &CachedFile) -> Result<u32, TemplateError> {
    let mut lines = open_lines(lines).await?;
    let mut sum = 0_u32;
    while let Some(line) = next_line(&mut lines).await? {
        let read = ReadLine::read(line, true).map_err(OpLogError::from)?;
        let Some(Ok(batch)) = read.batch else {
            let reason = "a line that only the core extension can read";
            return Err(TemplateError::Checkpoint(reason.to_owned()));
        };
        for operation in &batch.operations {
            sum = match operation.change {
                Change::Clear => operation.checksum,
                _ => sum.wrapping_add(operation.checksum),
            };
        }
    }
    Ok(sum)
}

fn line(json: &Value) -> Line {
    Line {
        format: LineFormat::Ndjson,
        bytes: json.to_string().into_bytes().into(),
    }
}
