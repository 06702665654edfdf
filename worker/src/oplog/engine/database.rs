//! Takes the lines of a sync, in their order, and makes a database of them.

use std::{path::Path, sync::Arc};

use rusqlite::Connection;
use serde_json::json;

use super::{
    core::{CoreSync, subscribe},
    loader::{Loader, ROW_INDEX},
    options::{Applied, SyncOptions, Written},
    own::Own,
};
use crate::{
    oplog::{
        checkpoint::TargetCheckpoint,
        operations::{Batch, Reason},
        schema::Schema,
        sqlite::{self, DatabaseError, DeferredIndexes, open_alone, open_in_memory, set_cache},
    },
    powersync::Line,
};

/// A database that is being written, and of no use before the complete checkpoint; a failure throws the file away.
pub(in super::super) struct Engine {
    connection: Connection,
    schema: Schema,
    core: CoreSync,
    row_index: DeferredIndexes,
    cache_kib: u32,
    /// The memory of what the engine writes itself.
    memory_kib: Option<u32>,
    /// What the engine writes itself; `None` if the core extension writes everything that comes.
    own: Option<Own>,
    written: Written,
    dense: bool,
}

/// A written database, and how it was written.
pub(in super::super) struct Finished {
    pub(in super::super) connection: Connection,
    /// How checkpoints were written.
    pub(in super::super) written: Written,
    /// Whether the file was written in order and has no more unused pages than a copy would have.
    pub(in super::super) dense: bool,
}

impl Engine {
    /// Writes to the new database `path`: in bulk as long as that is possible.
    ///
    /// # Errors
    /// When SQLite or the core extension fails.
    pub(in super::super) fn on_nothing(
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
            Some(memory_kib) => Loader::begin(&connection, path, &schema, memory_kib)?,
            None => None,
        };
        let row_index = match loader {
            Some(_) => DeferredIndexes::default(),
            None => DeferredIndexes::take_from(&connection, &[ROW_INDEX])?,
        };
        let own = loader.map(|loader| Own::OntoNothing(Box::new(loader)));
        Self::begin(connection, schema, start, row_index, own)
    }

    /// Writes nothing: it only asks.
    ///
    /// # Errors
    /// When SQLite or the core extension fails.
    pub(in super::super) fn in_memory(
        schema: Schema,
        start: &SyncOptions,
    ) -> Result<Self, DatabaseError> {
        let mut connection = open_in_memory()?;
        let empty = schema.empty_database()?;
        connection.deserialize_read_exact("main", &empty[..], empty.len(), false)?;
        connection.execute_batch("BEGIN")?;
        Self::begin(connection, schema, start, DeferredIndexes::default(), None)
    }

    /// Writes on top of the snapshot `path`, or if it `is_logged`, to a log beside it.
    ///
    /// # Errors
    /// When SQLite or the core extension fails.
    pub(in super::super) fn on_base(
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
        let own = Own::on_top(&schema, start.load_memory_kib);
        Self::begin(connection, schema, start, DeferredIndexes::default(), own)
    }

    fn begin(
        connection: Connection,
        schema: Schema,
        start: &SyncOptions,
        row_index: DeferredIndexes,
        own: Option<Own>,
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
            memory_kib: start.load_memory_kib,
            own,
            written: Written::default(),
            dense: false,
        })
    }

    /// Returns the connection, to interrupt it.
    pub(in super::super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Returns whether the engine writes data lines itself. Only then is it worth decoding them.
    pub(in super::super) fn takes_operations(&self) -> bool {
        self.own.is_some()
    }

    /// Opens a stream, and returns the body of its request.
    pub(in super::super) fn start(&mut self) -> Result<String, DatabaseError> {
        self.hand_over()?;
        let request = self.core.start(&self.connection)?;
        if let Some(own) = &mut self.own {
            own.restart();
        }
        Ok(request)
    }

    /// Takes a data line, and its operations if they were decoded.
    pub(in super::super) fn data(
        &mut self,
        line: &Line,
        batch: Option<Result<Batch, Reason>>,
    ) -> Result<(), DatabaseError> {
        if let Some(own) = &mut self.own
            && self.core.is_open()
        {
            let written = match batch.unwrap_or(Err("a line that was not decoded")) {
                Ok(batch) => own.write(&self.connection, &batch, line.bytes.len())?,
                Err(reason) => Err(reason),
            };
            match written {
                Ok(()) => return Ok(()),
                Err(reason) => self.give_up(reason)?,
            }
        }
        self.core_line(line)?;
        Ok(())
    }

    /// Takes a `checkpoint` or `checkpoint_diff` line, and the target that it makes.
    pub(in super::super) fn target(
        &mut self,
        line: &Line,
        target: Arc<TargetCheckpoint>,
    ) -> Result<(), DatabaseError> {
        if let Some(own) = &mut self.own
            && self.core.is_open()
            && let Err(reason) = own.retarget(target)
        {
            self.give_up(reason)?;
        }
        self.core_line(line)?;
        Ok(())
    }

    /// Lets the core extension have the database, and a line.
    fn core_line(&mut self, line: &Line) -> Result<bool, DatabaseError> {
        self.hand_over()?;
        self.core.line(&self.connection, line)
    }

    fn hand_over(&mut self) -> Result<(), DatabaseError> {
        match &mut self.own {
            Some(own) => own.hand_over(&self.connection),
            None => Ok(()),
        }
    }

    /// Leaves everything from now on to the core extension.
    fn give_up(&mut self, reason: Reason) -> Result<(), DatabaseError> {
        if let Some(own) = self.own.take() {
            self.row_index = own.give_up(&self.connection, reason)?;
        }
        Ok(())
    }

    /// Whether what the engine has written itself matches the service's checksums, up to this priority number. If not, it gives
    /// up, so that the core extension refuses it.
    fn matches(&mut self, priority: Option<u8>) -> Result<bool, DatabaseError> {
        match &self.own {
            Some(own) if self.core.is_open() && own.matches(&self.connection, priority)? => {
                Ok(true)
            }
            _ => {
                self.give_up("the checksums do not match")?;
                Ok(false)
            }
        }
    }

    /// Takes a line of a kind that only the core extension may know.
    pub(in super::super) fn other(&mut self, line: &Line) -> Result<(), DatabaseError> {
        self.core_line(line).map(drop)
    }

    /// Takes a `checkpoint_complete` line: makes the database that of the target.
    pub(in super::super) fn complete(&mut self, line: &Line) -> Result<Applied, DatabaseError> {
        let is_own = self.matches(None)?;
        let mut written = self.written;
        match self.own.take() {
            Some(own) => {
                let (how, dense) = own.finish(&self.connection, &self.schema)?;
                written |= how;
                self.dense = dense;
                set_cache(&self.connection, self.cache_kib)?;
            }
            None => {
                self.dense = false;
                self.row_index.build(&self.connection)?;
                self.schema.create_inferred(&self.connection)?;
            }
        }
        if self.core_line(line)? {
            self.written = written;
            if is_own {
                // What comes after this checkpoint is added to it.
                self.own = Own::on_top(&self.schema, self.memory_kib);
            }
            return Ok(Applied::Yes);
        }
        let reason = self.core.closed_because();
        let reason = reason.unwrap_or("it did not apply the checkpoint");
        if is_own {
            return Err(DatabaseError::Core(format!(
                "it refused a checkpoint that the engine has written: {reason}; set worker.fast_load = false"
            )));
        }
        Ok(Applied::No(reason.to_owned()))
    }

    /// Takes a `partial_checkpoint_complete` line of this priority.
    pub(in super::super) fn partially_complete(
        &mut self,
        line: &Line,
        priority: u8,
    ) -> Result<Applied, DatabaseError> {
        // Rows are not read before all are there, so what is loaded waits for the whole checkpoint.
        if self.matches(Some(priority))? {
            return Ok(Applied::Yes);
        }
        self.row_index.build(&self.connection)?;
        self.core_line(line)?;
        Ok(match self.core.closed_because() {
            None => Applied::Yes,
            Some(reason) => Applied::No(reason.to_owned()),
        })
    }

    /// Commits, and hands over the database.
    pub(in super::super) fn finish(mut self) -> Result<Finished, DatabaseError> {
        self.hand_over()?;
        self.core.stop(&self.connection)?;
        self.connection.execute_batch("COMMIT")?;
        self.connection.flush_prepared_statement_cache();
        Ok(Finished {
            connection: self.connection,
            written: self.written,
            dense: self.dense,
        })
    }
}
