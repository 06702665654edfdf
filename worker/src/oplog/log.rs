//! The private SQLite database of one job, and the thread that writes it.
//!
//! The official core extension is linked in, and driven through `powersync_control` as an SDK would drive it. It
//! does all of the writing, but for the operations of a first checkpoint that can be loaded faster (`load.rs`). Nobody else ever opens the file, so nothing is journalled or
//! fsynced, and everything up to the complete checkpoint is one transaction; a failure throws the file away.

use std::{collections::HashMap, path::PathBuf, time::Duration};

use rusqlite::Connection;
use seedbed_protocol::OpId;
use tokio::sync::{mpsc, oneshot};

use super::{
    schema::Schema,
    sqlite::{DatabaseError, InterruptOnDrop},
    writer::{Applied, Command, SyncStart, Writer, Written},
};
use crate::powersync::Line;

/// Lines that wait for the database, so that the network and the disk work at the same time. A line has up
/// to about 1 MiB.
const WAITING_LINES: usize = 4;

/// The writing end of a job's database.
pub struct SyncDatabase {
    commands: mpsc::Sender<Command>,
    thread: Option<oneshot::Receiver<Result<Written, DatabaseError>>>,
    interrupt: InterruptOnDrop,
}

impl SyncDatabase {
    /// Makes the database `path` and starts its thread.
    ///
    /// # Errors
    /// What SQLite or the core extension says.
    pub async fn create(
        path: PathBuf,
        schema: Schema,
        start: SyncStart,
    ) -> Result<Self, DatabaseError> {
        Self::open_with(move || Writer::create(&path, schema, &start)).await
    }

    /// Makes a database in memory that only says what to ask for: see [`Self::start`].
    ///
    /// # Errors
    /// What SQLite or the core extension says.
    pub async fn to_ask(schema: Schema, start: SyncStart) -> Result<Self, DatabaseError> {
        Self::open_with(move || Writer::to_ask(schema, &start)).await
    }

    /// Opens the snapshot `path`, which was made with the same schema, to go on with its sync, and starts its
    /// thread. The snapshot is changed.
    ///
    /// # Errors
    /// What SQLite or the core extension says.
    pub async fn go_on(
        path: PathBuf,
        schema: Schema,
        start: SyncStart,
    ) -> Result<Self, DatabaseError> {
        Self::open_with(move || Writer::resume(&path, schema, &start)).await
    }

    async fn open_with(
        open: impl FnOnce() -> Result<Writer, DatabaseError> + Send + 'static,
    ) -> Result<Self, DatabaseError> {
        let (commands, received) = mpsc::channel(WAITING_LINES);
        let (opened, opening) = oneshot::channel();
        let (ended, thread) = oneshot::channel();
        let work = move || match open() {
            Ok(writer) => {
                if opened
                    .send(Ok(InterruptOnDrop::of(writer.connection())))
                    .is_ok()
                {
                    // Nobody listens any more when the job was abandoned.
                    let _ = ended.send(writer.run(received));
                }
            }
            Err(error) => drop(opened.send(Err(error))),
        };
        std::thread::Builder::new()
            .name("seed-database".to_owned())
            .spawn(work)
            .map_err(|e| DatabaseError::Core(format!("cannot start a thread: {e}")))?;
        let interrupt = opening.await.map_err(|_| DatabaseError::Panicked)??;
        Ok(Self {
            commands,
            thread: Some(thread),
            interrupt,
        })
    }

    /// Starts or restarts the sync, keeping what has come, and returns the body of the request to send.
    ///
    /// # Errors
    /// What ended the thread.
    pub async fn start(&mut self) -> Result<String, DatabaseError> {
        let (reply, request) = oneshot::channel();
        self.send(Command::Start(reply)).await?;
        self.answer(request).await
    }

    /// Hands over a line; returns as soon as there is room for it.
    ///
    /// # Errors
    /// What ended the thread, perhaps on an earlier line.
    pub async fn line(&mut self, line: Line) -> Result<(), DatabaseError> {
        self.send(Command::Line(line)).await
    }

    /// Hands over `checkpoint_complete` and waits until everything before it is written.
    ///
    /// # Errors
    /// What ended the thread.
    pub async fn complete(&mut self, line: Line) -> Result<Applied, DatabaseError> {
        let (reply, applied) = oneshot::channel();
        self.send(Command::Complete(line, reply)).await?;
        self.answer(applied).await
    }

    /// Hands over `partial_checkpoint_complete` and waits until everything before it is written.
    ///
    /// # Errors
    /// What ended the thread.
    pub async fn partially_complete(&mut self, line: Line) -> Result<Applied, DatabaseError> {
        let (reply, applied) = oneshot::channel();
        self.send(Command::PartiallyComplete(line, reply)).await?;
        self.answer(applied).await
    }

    /// Commits, ends the thread and hands over the database.
    ///
    /// # Errors
    /// What ended the thread.
    pub async fn finish(mut self) -> Result<SyncedDatabase, DatabaseError> {
        self.send(Command::Finish).await?;
        let Some(thread) = self.thread.take() else {
            return Err(DatabaseError::Panicked);
        };
        let Written {
            connection,
            waited,
            loaded,
            dense,
        } = thread.await.map_err(|_| DatabaseError::Panicked)??;
        Ok(SyncedDatabase {
            connection,
            interrupt: self.interrupt,
            waited,
            loaded,
            dense,
        })
    }

    async fn send(&mut self, command: Command) -> Result<(), DatabaseError> {
        match self.commands.send(command).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.failure().await),
        }
    }

    async fn answer<T>(&mut self, reply: oneshot::Receiver<T>) -> Result<T, DatabaseError> {
        match reply.await {
            Ok(answer) => Ok(answer),
            Err(_) => Err(self.failure().await),
        }
    }

    /// Why the thread ended without having been asked to.
    async fn failure(&mut self) -> DatabaseError {
        let Some(thread) = self.thread.take() else {
            return DatabaseError::Panicked;
        };
        match thread.await {
            Ok(Err(error)) => error,
            Ok(Ok(_)) | Err(_) => DatabaseError::Panicked,
        }
    }
}

/// A database that holds one complete checkpoint.
pub struct SyncedDatabase {
    /// The only connection to it.
    pub connection: Connection,
    /// Stops a long statement when the job is abandoned.
    pub interrupt: InterruptOnDrop,
    /// How long the database had nothing to write.
    pub waited: Duration,
    /// Whether the first checkpoint was loaded in bulk.
    pub loaded: bool,
    /// Whether the file has no more holes than a copy of it would have.
    pub dense: bool,
}

/// How far each bucket has come; a bucket without rows has no entry.
///
/// # Errors
/// What SQLite says.
pub fn last_ops(connection: &Connection) -> Result<HashMap<String, OpId>, DatabaseError> {
    let mut buckets = connection.prepare("SELECT name, last_op FROM ps_buckets")?;
    let rows = buckets.query_map([], |row| Ok((row.get(0)?, OpId(row.get(1)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
