//! The thread that writes a job's database.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use seedbed_protocol::message::StreamSubscription;
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, oneshot};

use super::{
    bulk::{Loader, Taken},
    core::{CoreSync, subscribe},
    line::LineKind,
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
    Start(oneshot::Sender<String>),
    Line(Line),
    PartiallyComplete(Line, oneshot::Sender<Applied>),
    Complete(Line, oneshot::Sender<Applied>),
    Finish,
}

/// What a sync starts with.
pub struct SyncStart {
    /// Sync parameters.
    pub parameters: Map<String, Value>,
    /// Whether to sync the streams that the service subscribes every client to.
    pub default_streams: bool,
    /// Explicit subscriptions.
    pub subscriptions: Vec<StreamSubscription>,
    /// How long they stay valid, in seconds.
    pub subscription_ttl: u64,
    /// SQLite's page cache, in KiB.
    pub cache_kib: u32,
    /// What loading the first checkpoint in bulk may take in memory, in KiB; `None` leaves every operation to
    /// the core extension.
    pub load_memory_kib: Option<u32>,
}

/// Whether a complete checkpoint became visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// All rows are in their tables.
    Yes,
    /// It was refused, in the core extension's words; the buckets that it blames are gone.
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
    loaded: bool,
    dense: bool,
}

impl Writer {
    pub(super) fn create(
        path: &Path,
        schema: Schema,
        start: &SyncStart,
    ) -> Result<Self, DatabaseError> {
        std::fs::write(path, schema.empty_database()?).map_err(|source| DatabaseError::Create {
            path: path.to_owned(),
            source,
        })?;
        let connection = open_alone(path, start.cache_kib)?;
        connection.execute_batch("BEGIN")?;
        let row_index = DeferredIndexes::take_from(&connection, &[ROW_INDEX])?;
        let loader = match start.load_memory_kib {
            Some(memory_kib) => Loader::begin(&connection, &schema, memory_kib)?,
            None => None,
        };
        Self::begin(connection, schema, start, row_index, loader)
    }

    pub(super) fn to_ask(schema: Schema, start: &SyncStart) -> Result<Self, DatabaseError> {
        let mut connection = open_in_memory()?;
        let empty = schema.empty_database()?;
        connection.deserialize_read_exact("main", &empty[..], empty.len(), false)?;
        connection.execute_batch("BEGIN")?;
        Self::begin(connection, schema, start, DeferredIndexes::default(), None)
    }

    pub(super) fn resume(
        path: &Path,
        schema: Schema,
        start: &SyncStart,
    ) -> Result<Self, DatabaseError> {
        let connection = open_alone(path, start.cache_kib)?;
        // The file itself may become the next snapshot, so removed rows must not stay in its pages.
        connection.pragma_update(None, "secure_delete", "on")?;
        sqlite::initialize(&connection)?;
        connection.execute_batch("BEGIN")?;
        Self::begin(connection, schema, start, DeferredIndexes::default(), None)
    }

    fn begin(
        connection: Connection,
        schema: Schema,
        start: &SyncStart,
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
            loader,
            loaded: false,
            dense: false,
        })
    }

    /// Returns the connection, to interrupt it.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
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
                Some(Command::Line(line)) => self.load_or_line(&line)?,
                Some(Command::PartiallyComplete(line, reply)) => {
                    drop(reply.send(self.partially_complete(&line)?));
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

    /// Loads a data line, or passes a line on to the core extension.
    fn load_or_line(&mut self, line: &Line) -> Result<(), DatabaseError> {
        if let Some(loader) = &mut self.loader
            && self.core.is_open()
        {
            match loader.line(&self.connection, line)? {
                Taken::Loaded => return Ok(()),
                Taken::NoData => {}
                Taken::Refused(reason) => self.give_up_loading(reason)?,
            }
        }
        self.core.line(&self.connection, line)?;
        Ok(())
    }

    fn give_up_loading(&mut self, reason: &'static str) -> Result<(), DatabaseError> {
        if let Some(loader) = self.loader.take() {
            loader.give_up(&self.connection, reason)?;
            set_cache(&self.connection, self.cache_kib)?;
        }
        Ok(())
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
        match self.loader.take() {
            Some(loader) => {
                let (connection, row_index) = (&self.connection, &mut self.row_index);
                self.dense = loader.finish(connection, &self.schema, row_index)?;
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

    fn partially_complete(&mut self, line: &Line) -> Result<Applied, DatabaseError> {
        // Rows are not read before all are there, so what is loaded waits for the whole checkpoint.
        if let Ok(LineKind::CheckpointPartiallyComplete(priority)) = LineKind::of(line)
            && self.matches(Some(priority))?
        {
            return Ok(Applied::Yes);
        }
        self.give_up_loading("a partial checkpoint in an unknown form")?;
        self.row_index.build(&self.connection)?;
        self.core.line(&self.connection, line)?;
        Ok(match self.core.closed_because() {
            None => Applied::Yes,
            Some(reason) => Applied::No(reason.to_owned()),
        })
    }
}

/// The index of `ps_oplog` that only applying a checkpoint needs.
const ROW_INDEX: &str = "ps_oplog_row";
