//! Writes a job's database, on a thread of its own: in bulk as long as possible, else through the core extension.
//!
//! Everything up to the complete checkpoint is one transaction; a failure throws the file away.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rusqlite::Connection;
use seedbed_protocol::message::StreamSubscription;
use serde_json::{Map, Value, json};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::{
    bulk::Loader,
    checkpoint::TargetCheckpoint,
    core::{CoreSync, subscribe},
    operations::{Batch, Reason},
    schema::Schema,
    sqlite::{self, DatabaseError, DeferredIndexes, open_alone, open_in_memory, set_cache},
};
use crate::powersync::Line;

/// The written database, and how it was written.
pub(super) struct Written {
    pub(super) connection: Connection,
    /// How long the thread had nothing to write.
    pub(super) waited: Duration,
    pub(super) loaded: bool,
    pub(super) dense: bool,
}

/// A request to the thread, with a place for the answer.
pub(super) enum Command {
    /// Opens a stream; the answer is the body of its request.
    Start(oneshot::Sender<String>),
    /// A data line; its operations if they were decoded, or why the core extension has to take them; and the room that it
    /// takes until it is written.
    Data(
        Line,
        Option<Result<Batch, Reason>>,
        Option<OwnedSemaphorePermit>,
    ),
    /// A `checkpoint` or `checkpoint_diff` line, and the target that it makes.
    Target(Line, Arc<TargetCheckpoint>),
    /// A line of another kind.
    Other(Line),
    /// A `partial_checkpoint_complete` line, and its priority.
    PartiallyComplete(Line, u8, oneshot::Sender<Applied>),
    /// A `checkpoint_complete` line.
    Complete(Line, oneshot::Sender<Applied>),
    Finish,
}

/// What a sync asks for, and its limits.
pub struct SyncOptions {
    /// Sync parameters.
    pub parameters: Map<String, Value>,
    /// Whether to sync the streams that the service subscribes every client to.
    pub default_streams: bool,
    /// Explicit subscriptions.
    pub subscriptions: Vec<StreamSubscription>,
    /// How long the subscriptions stay valid, in seconds.
    pub subscription_ttl: u64,
    /// SQLite's page cache, in KiB.
    pub cache_kib: u32,
    /// The memory of a bulk load of the first checkpoint, in KiB; `None` leaves every operation to the core extension.
    pub load_memory_kib: Option<u32>,
}

/// Whether the core extension has applied a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// All rows are in their tables.
    Yes,
    /// The core extension refused it, for this reason, and has dropped the buckets that do not match.
    No(String),
}

/// The database of one job, and what writes it.
pub(super) struct Writer {
    connection: Connection,
    schema: Schema,
    core: CoreSync,
    row_index: DeferredIndexes,
    cache_kib: u32,
    /// Present until the first checkpoint is complete, or a line comes that it does not take.
    loader: Option<Loader>,
    /// Whether `loader` is present, for the side that reads the lines.
    is_loading: Arc<AtomicBool>,
    loaded: bool,
    dense: bool,
}

impl Writer {
    pub(super) fn create(
        path: &Path,
        schema: Schema,
        start: &SyncOptions,
    ) -> Result<Self, DatabaseError> {
        std::fs::write(path, schema.empty_database()?).map_err(|source| DatabaseError::Create {
            path: path.to_owned(),
            source,
        })?;
        let connection = open_alone(path, start.cache_kib)?;
        connection.execute_batch("BEGIN")?;
        let loader = match start.load_memory_kib {
            Some(memory_kib) => Loader::begin(&connection, &schema, memory_kib)?,
            None => None,
        };
        let row_index = match loader {
            Some(_) => DeferredIndexes::default(),
            None => DeferredIndexes::take_from(&connection, &[ROW_INDEX])?,
        };
        Self::begin(connection, schema, start, row_index, loader)
    }

    pub(super) fn in_memory(schema: Schema, start: &SyncOptions) -> Result<Self, DatabaseError> {
        let mut connection = open_in_memory()?;
        let empty = schema.empty_database()?;
        connection.deserialize_read_exact("main", &empty[..], empty.len(), false)?;
        connection.execute_batch("BEGIN")?;
        Self::begin(connection, schema, start, DeferredIndexes::default(), None)
    }

    pub(super) fn resume(
        path: &Path,
        schema: Schema,
        start: &SyncOptions,
        is_logged: bool,
    ) -> Result<Self, DatabaseError> {
        let connection = open_alone(path, start.cache_kib)?;
        if is_logged {
            sqlite::keep_log(&connection)?;
        }
        // The file itself may become the next snapshot, so removed rows must not stay in its pages.
        connection.pragma_update(None, "secure_delete", "on")?;
        sqlite::initialize(&connection)?;
        connection.execute_batch("BEGIN")?;
        Self::begin(connection, schema, start, DeferredIndexes::default(), None)
    }

    fn begin(
        connection: Connection,
        schema: Schema,
        start: &SyncOptions,
        row_index: DeferredIndexes,
        loader: Option<Loader>,
    ) -> Result<Self, DatabaseError> {
        connection.execute(
            "INSERT OR REPLACE INTO ps_kv (key, value) VALUES ('client_id', uuid())",
            [],
        )?;
        for subscription in &start.subscriptions {
            subscribe(&connection, subscription, start.subscription_ttl)?;
        }
        let payload = json!({
            "parameters": start.parameters,
            "schema": schema.start_payload(),
            "include_defaults": start.default_streams,
        });
        Ok(Self {
            connection,
            schema,
            core: CoreSync::new(payload.to_string()),
            row_index,
            cache_kib: start.cache_kib,
            is_loading: Arc::new(AtomicBool::new(loader.is_some())),
            loader,
            loaded: false,
            dense: false,
        })
    }

    /// Returns the connection, to interrupt it.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Returns a flag that is set as long as data lines are loaded in bulk. Only then is it worth decoding them.
    pub(super) fn is_loading(&self) -> Arc<AtomicBool> {
        self.is_loading.clone()
    }

    /// Works off the commands until the last one, then commits.
    pub(super) fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
    ) -> Result<Written, DatabaseError> {
        let mut waited = Duration::ZERO;
        loop {
            let waiting = Instant::now();
            let command = commands.blocking_recv();
            waited += waiting.elapsed();
            match command {
                Some(Command::Start(reply)) => drop(reply.send(self.start()?)),
                Some(Command::Data(line, batch, _room)) => self.data(&line, batch)?,
                Some(Command::Target(line, target)) => self.target(&line, target)?,
                Some(Command::Other(line)) => drop(self.core.line(&self.connection, &line)?),
                Some(Command::PartiallyComplete(line, priority, reply)) => {
                    drop(reply.send(self.partially_complete(&line, priority)?));
                }
                Some(Command::Complete(line, reply)) => drop(reply.send(self.complete(&line)?)),
                Some(Command::Finish) => break,
                None => return Err(DatabaseError::Core("the job was abandoned".to_owned())),
            }
        }
        self.core.stop(&self.connection)?;
        self.connection.execute_batch("COMMIT")?;
        self.connection.flush_prepared_statement_cache();
        Ok(Written {
            connection: self.connection,
            waited,
            loaded: self.loaded,
            dense: self.dense,
        })
    }

    fn start(&mut self) -> Result<String, DatabaseError> {
        let request = self.core.start(&self.connection)?;
        if let Some(loader) = &mut self.loader {
            loader.restart();
        }
        Ok(request)
    }

    /// Loads a data line, or passes it on to the core extension.
    fn data(
        &mut self,
        line: &Line,
        batch: Option<Result<Batch, Reason>>,
    ) -> Result<(), DatabaseError> {
        if let Some(loader) = &mut self.loader
            && self.core.is_open()
        {
            let batch = batch.unwrap_or(Err("a line that was not decoded"));
            let reason = match &batch {
                Ok(batch) => match loader.objection(batch) {
                    None => return loader.load(&self.connection, batch, line.bytes.len()),
                    Some(reason) => reason,
                },
                Err(reason) => reason,
            };
            self.give_up_loading(reason)?;
        }
        self.core.line(&self.connection, line)?;
        Ok(())
    }

    fn target(&mut self, line: &Line, target: Arc<TargetCheckpoint>) -> Result<(), DatabaseError> {
        if let Some(loader) = &mut self.loader
            && self.core.is_open()
            && let Err(reason) = loader.retarget(target)
        {
            self.give_up_loading(reason)?;
        }
        self.core.line(&self.connection, line)?;
        Ok(())
    }

    /// Leaves everything from now on to the core extension.
    fn give_up_loading(&mut self, reason: Reason) -> Result<(), DatabaseError> {
        if let Some(loader) = self.take_loader() {
            loader.give_up(&self.connection, reason)?;
            set_cache(&self.connection, self.cache_kib)?;
        }
        Ok(())
    }

    fn take_loader(&mut self) -> Option<Loader> {
        self.is_loading.store(false, Ordering::Relaxed);
        self.loader.take()
    }

    /// Whether what was loaded matches the service's checksums, up to this priority number. If not, loading is given
    /// up, so that the core extension refuses it.
    fn matches(&mut self, priority: Option<u8>) -> Result<bool, DatabaseError> {
        match &self.loader {
            Some(loader)
                if self.core.is_open() && loader.matches(&self.connection, priority)? =>
            {
                Ok(true)
            }
            _ => {
                self.give_up_loading("the checksums do not match")?;
                Ok(false)
            }
        }
    }

    fn complete(&mut self, line: &Line) -> Result<Applied, DatabaseError> {
        let loaded = self.matches(None)?;
        match self.take_loader() {
            Some(loader) => {
                self.dense = loader.finish(&self.connection, &self.schema)?;
                set_cache(&self.connection, self.cache_kib)?;
            }
            None => {
                self.dense = false;
                self.row_index.build(&self.connection)?;
                self.schema.create_inferred(&self.connection)?;
            }
        }
        if self.core.line(&self.connection, line)? {
            self.loaded |= loaded;
            return Ok(Applied::Yes);
        }
        let reason = self.core.closed_because();
        let reason = reason.unwrap_or("it did not apply the checkpoint");
        if loaded {
            return Err(DatabaseError::Core(format!(
                "it refused a checkpoint that was loaded: {reason}; set worker.fast_load = false"
            )));
        }
        Ok(Applied::No(reason.to_owned()))
    }

    fn partially_complete(&mut self, line: &Line, priority: u8) -> Result<Applied, DatabaseError> {
        // Rows are not read before all are there, so what is loaded waits for the whole checkpoint.
        if self.matches(Some(priority))? {
            return Ok(Applied::Yes);
        }
        self.row_index.build(&self.connection)?;
        self.core.line(&self.connection, line)?;
        Ok(match self.core.closed_because() {
            None => Applied::Yes,
            Some(reason) => Applied::No(reason.to_owned()),
        })
    }
}

/// The index of `ps_oplog` that is needed only when a checkpoint is applied.
const ROW_INDEX: &str = "ps_oplog_row";
