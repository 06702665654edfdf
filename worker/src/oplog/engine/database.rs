//! Takes the lines of a sync, in their order, and makes a database of them.

use std::{path::Path, sync::Arc};

use rusqlite::Connection;
use serde_json::json;

use super::{
    core::{CoreSync, subscribe},
    loader::Loader,
    options::{Applied, SyncOptions},
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

/// The index of `ps_oplog` that is needed only when a checkpoint is applied.
const ROW_INDEX: &str = "ps_oplog_row";

/// A database that is being written. Everything up to the complete checkpoint is one transaction; a failure throws the file
/// away.
pub(in super::super) struct Engine {
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

/// A written database, and how it was written.
pub(in super::super) struct Finished {
    pub(in super::super) connection: Connection,
    /// Whether the first checkpoint was loaded in bulk.
    pub(in super::super) loaded: bool,
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
        let row_index = DeferredIndexes::take_from(&connection, &[ROW_INDEX])?;
        let loader = match start.load_memory_kib {
            Some(memory_kib) => Loader::begin(&connection, &schema, memory_kib)?,
            None => None,
        };
        Self::begin(connection, schema, start, row_index, loader)
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
            loader,
            loaded: false,
            dense: false,
        })
    }

    /// Returns the connection, to interrupt it.
    pub(in super::super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Returns whether data lines are loaded in bulk. Only then is it worth decoding them.
    pub(in super::super) fn is_loading(&self) -> bool {
        self.loader.is_some()
    }

    /// Opens a stream, and returns the body of its request.
    pub(in super::super) fn start(&mut self) -> Result<String, DatabaseError> {
        let request = self.core.start(&self.connection)?;
        if let Some(loader) = &mut self.loader {
            loader.restart();
        }
        Ok(request)
    }

    /// Takes a data line, and its operations if they were decoded.
    pub(in super::super) fn data(
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

    /// Takes a `checkpoint` or `checkpoint_diff` line, and the target that it makes.
    pub(in super::super) fn target(
        &mut self,
        line: &Line,
        target: Arc<TargetCheckpoint>,
    ) -> Result<(), DatabaseError> {
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

    /// Takes a line of a kind that only the core extension may know.
    pub(in super::super) fn other(&mut self, line: &Line) -> Result<(), DatabaseError> {
        self.core.line(&self.connection, line).map(drop)
    }

    /// Takes a `checkpoint_complete` line: makes the database that of the target.
    pub(in super::super) fn complete(&mut self, line: &Line) -> Result<Applied, DatabaseError> {
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
        self.core.line(&self.connection, line)?;
        Ok(match self.core.closed_because() {
            None => Applied::Yes,
            Some(reason) => Applied::No(reason.to_owned()),
        })
    }

    /// Commits, and hands over the database.
    pub(in super::super) fn finish(self) -> Result<Finished, DatabaseError> {
        self.core.stop(&self.connection)?;
        self.connection.execute_batch("COMMIT")?;
        self.connection.flush_prepared_statement_cache();
        Ok(Finished {
            connection: self.connection,
            loaded: self.loaded,
            dense: self.dense,
        })
    }
}
