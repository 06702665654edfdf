//! What the engine writes itself: in bulk onto nothing, or on top of what is there.

use std::sync::Arc;

use rusqlite::Connection;

use super::{adder::Adder, loader::Loader, options::Written};
use crate::oplog::{
    checkpoint::TargetCheckpoint,
    operations::{Batch, Reason},
    schema::Schema,
    sqlite::{DatabaseError, DeferredIndexes},
};

/// The engine's own way of writing data lines.
pub(super) enum Own {
    OntoNothing(Box<Loader>),
    OnTop(Box<Adder>),
}

impl Own {
    /// Writes on top of what is there, within so many KiB of memory; `None` leaves that to the core extension.
    pub(super) fn on_top(schema: &Schema, memory_kib: Option<u32>) -> Option<Self> {
        let adder = |memory_kib| Self::OnTop(Box::new(Adder::new(schema, memory_kib)));
        memory_kib.map(adder)
    }

    /// Forgets the target of the previous stream.
    pub(super) fn restart(&mut self) {
        match self {
            Self::OntoNothing(loader) => loader.restart(),
            Self::OnTop(adder) => adder.restart(),
        }
    }

    /// Takes over a new or changed target. Returns why the core extension has to take over, if so.
    pub(super) fn retarget(&mut self, target: Arc<TargetCheckpoint>) -> Result<(), Reason> {
        match self {
            Self::OntoNothing(loader) => loader.retarget(target),
            Self::OnTop(adder) => {
                adder.retarget(target);
                Ok(())
            }
        }
    }

    /// Writes a data line of so many bytes, or returns why the core extension has to take it; then nothing of it is written.
    pub(super) fn write(
        &mut self,
        connection: &Connection,
        batch: &Batch,
        bytes: usize,
    ) -> Result<Result<(), Reason>, DatabaseError> {
        let objection = match self {
            Self::OntoNothing(loader) => loader.objection(batch),
            Self::OnTop(adder) => adder.objection(connection, batch)?,
        };
        if let Some(reason) = objection {
            return Ok(Err(reason));
        }
        match self {
            Self::OntoNothing(loader) => loader.load(connection, batch, bytes)?,
            Self::OnTop(adder) => adder.add(connection, batch, bytes)?,
        }
        Ok(Ok(()))
    }

    /// Lets SQLite have the file.
    pub(super) fn hand_over(&mut self, connection: &Connection) -> Result<(), DatabaseError> {
        match self {
            Self::OntoNothing(loader) => loader.hand_over(connection),
            Self::OnTop(_) => Ok(()),
        }
    }

    /// Returns whether what is written matches the service's checksums, up to this priority number.
    pub(super) fn matches(
        &self,
        connection: &Connection,
        priority: Option<u8>,
    ) -> Result<bool, DatabaseError> {
        match self {
            Self::OntoNothing(loader) => Ok(loader.matches(priority)),
            Self::OnTop(adder) => adder.matches(connection, priority),
        }
    }

    /// Prepares the database for the core extension, which takes over. Returns the indexes that are left to be built.
    pub(super) fn give_up(
        self,
        connection: &Connection,
        reason: Reason,
    ) -> Result<DeferredIndexes, DatabaseError> {
        match self {
            Self::OntoNothing(loader) => loader.give_up(connection, reason),
            Self::OnTop(adder) => {
                adder.give_up(connection, reason)?;
                Ok(DeferredIndexes::default())
            }
        }
    }

    /// Completes a checkpoint whose checksums are right. Returns how it was written, and whether the file is dense.
    pub(super) fn finish(
        self,
        connection: &Connection,
        schema: &Schema,
    ) -> Result<(Written, bool), DatabaseError> {
        match self {
            Self::OntoNothing(loader) => {
                let written = Written {
                    loaded: true,
                    ..Written::default()
                };
                Ok((written, loader.finish(connection, schema)?))
            }
            Self::OnTop(mut adder) => {
                adder.finish(connection, schema)?;
                Ok((adder.written(), false))
            }
        }
    }
}
