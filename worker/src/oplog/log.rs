//! The door of the operation log: takes the lines of a stream, reads each once, and hands it to the thread that writes.
//!
//! Lines are read here, on the caller's side, so that the next line is read while the thread still writes the last one.

use std::{
    collections::HashMap,
    fmt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rusqlite::Connection;
use seedbed_protocol::{
    OpId,
    manifest::{BucketCheckpoint, Checkpoint},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::{
    checkpoint::TargetCheckpoint,
    engine::{Applied, Engine, Finished, SyncOptions, Written},
    line::{LineKind, ReadLine},
    schema::Schema,
    sqlite::{DatabaseError, InterruptOnDrop},
    writer::{Command, Outcome, Writer},
};
use crate::powersync::{Line, StreamError};

/// How many lines may wait for the thread, so that network and disk work at the same time.
const WAITING_LINES: usize = 4;

/// How many KiB of data lines may be decoded, wait and be written at a time. Lines have up to about 1 MiB; a larger one,
/// which is a single large row, is alone.
const WAITING_KIB: u32 = 8 << 10;

/// Why a line was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum OpLogError {
    /// The line cannot be read.
    #[error(transparent)]
    Line(#[from] StreamError),
    /// The database failed, perhaps on an earlier line.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// What an accepted line was.
#[derive(Debug)]
pub enum Accepted {
    /// A new or changed target: see [`OpLog::target`].
    Target,
    /// So many operations of a bucket.
    Operations(u64),
    /// All buckets up to some priority have arrived and were applied, or refused.
    PartiallyComplete(Applied),
    /// The whole target has arrived: [`OpLog::apply`] it.
    Complete(Complete),
    /// The keepalive: seconds until the token expires. The core extension has no part in it, since a token is signed
    /// for each stream.
    TokenExpiresIn(i64),
    /// A line of a kind that only the core extension may know.
    Other,
}

/// A `checkpoint_complete` line, to be applied.
#[derive(Debug)]
pub struct Complete(Line);

/// A job's operation log: one private SQLite database, and the thread that writes it.
pub struct OpLog {
    commands: mpsc::Sender<Command>,
    thread: Option<oneshot::Receiver<Result<Outcome, DatabaseError>>>,
    interrupt: InterruptOnDrop,
    takes_operations: Arc<AtomicBool>,
    /// What is left of [`WAITING_KIB`].
    room: Arc<Semaphore>,
    target: Arc<TargetCheckpoint>,
    /// The explicit subscriptions of the current stream's request, in its order.
    subscriptions: Vec<RequestedSubscription>,
    /// Set if the log only compares: how far a client would have come.
    positions: Option<Checkpoint>,
}

impl OpLog {
    /// Creates the database `path` and starts its thread.
    ///
    /// # Errors
    /// When SQLite or the core extension fails.
    pub async fn create(
        path: PathBuf,
        schema: Schema,
        options: SyncOptions,
    ) -> Result<Self, DatabaseError> {
        Self::open_with(move || Engine::on_nothing(&path, schema, &options)).await
    }

    /// Opens the snapshot `path`, which was made with the same schema, to resume its sync, and starts its thread.
    /// Changes the snapshot, or if it `is_logged`, only a log beside it, until the journal mode is changed.
    ///
    /// # Errors
    /// When SQLite or the core extension fails.
    pub async fn resume(
        path: PathBuf,
        schema: Schema,
        options: SyncOptions,
        is_logged: bool,
    ) -> Result<Self, DatabaseError> {
        Self::open_with(move || Engine::on_base(&path, schema, &options, is_logged)).await
    }

    /// Opens a log in memory that only asks, as a client would that has come as far as `positions`: it accepts targets
    /// and writes nothing.
    ///
    /// # Errors
    /// When SQLite or the core extension fails.
    pub async fn compare(
        positions: Checkpoint,
        schema: Schema,
        options: SyncOptions,
    ) -> Result<Self, DatabaseError> {
        let mut log = Self::open_with(move || Engine::in_memory(schema, &options)).await?;
        log.positions = Some(positions);
        Ok(log)
    }

    async fn open_with(
        open: impl FnOnce() -> Result<Engine, DatabaseError> + Send + 'static,
    ) -> Result<Self, DatabaseError> {
        let (commands, received) = mpsc::channel(WAITING_LINES);
        let (opened, opening) = oneshot::channel();
        let (ended, thread) = oneshot::channel();
        let work = move || match open() {
            Ok(engine) => {
                let interrupt = InterruptOnDrop::of(engine.connection());
                let writer = Writer::of(engine);
                if opened
                    .send(Ok((interrupt, writer.takes_operations())))
                    .is_ok()
                {
                    // The receiver is gone when the job was abandoned.
                    let _ = ended.send(writer.run(received));
                }
            }
            Err(error) => drop(opened.send(Err(error))),
        };
        std::thread::Builder::new()
            .name("seed-database".to_owned())
            .spawn(work)
            .map_err(|e| DatabaseError::Core(format!("cannot start a thread: {e}")))?;
        let (interrupt, takes_operations) =
            opening.await.map_err(|_| DatabaseError::Panicked)??;
        Ok(Self {
            commands,
            thread: Some(thread),
            interrupt,
            takes_operations,
            room: Arc::new(Semaphore::new(WAITING_KIB as usize)),
            target: Arc::default(),
            subscriptions: Vec::new(),
            positions: None,
        })
    }

    /// Opens a stream, the first or after one that broke off, and returns the body of its request: it asks for what is
    /// missing. What has arrived is kept.
    ///
    /// # Errors
    /// What ended the thread.
    pub async fn request(&mut self) -> Result<String, DatabaseError> {
        let request = self.ask(Command::Start).await?;
        self.target = Arc::default();
        self.subscriptions = subscriptions(&request)?;
        match &self.positions {
            Some(positions) => at_positions(&request, positions),
            None => Ok(request),
        }
    }

    /// Reads a line and hands it to the thread, as soon as there is room for it. Returns then, but at a partly complete
    /// checkpoint when everything before is written.
    ///
    /// # Errors
    /// [`OpLogError::Line`] when the line cannot be read; else what ended the thread.
    pub async fn accept(&mut self, line: Line) -> Result<Accepted, OpLogError> {
        let room = self.room_for(&line).await;
        let decode = self.takes_operations.load(Ordering::Relaxed);
        let ReadLine { line, kind, batch } = ReadLine::read(line, decode)?;
        Ok(match kind {
            LineKind::Checkpoint(checkpoint) => {
                self.target = Arc::new(TargetCheckpoint::from(checkpoint));
                self.send_target(line).await?;
                Accepted::Target
            }
            LineKind::CheckpointDiff(diff) => {
                Arc::make_mut(&mut self.target).apply(diff);
                self.send_target(line).await?;
                Accepted::Target
            }
            LineKind::Data { operations } => {
                self.send(Command::Data(line, batch, room)).await?;
                Accepted::Operations(operations)
            }
            LineKind::CheckpointPartiallyComplete(priority) => {
                let command = |reply| Command::PartiallyComplete(line, priority, reply);
                Accepted::PartiallyComplete(self.ask(command).await?)
            }
            LineKind::CheckpointComplete => Accepted::Complete(Complete(line)),
            LineKind::TokenExpiresIn(seconds) => Accepted::TokenExpiresIn(seconds),
            LineKind::Other => {
                self.send(Command::Other(line)).await?;
                Accepted::Other
            }
        })
    }

    /// Applies the complete target, and waits until everything is written.
    ///
    /// # Errors
    /// What ended the thread.
    pub async fn apply(&mut self, complete: Complete) -> Result<Applied, DatabaseError> {
        self.ask(|reply| Command::Complete(complete.0, reply)).await
    }

    /// Returns the checkpoint that the current stream is heading for.
    pub fn target(&self) -> &TargetCheckpoint {
        &self.target
    }

    /// Returns the explicit subscriptions that select no bucket of the target, as a person would write them: a stream
    /// whose parameter is misspelt selects nothing.
    pub fn without_bucket(&self) -> Vec<String> {
        let places = self.target.without_bucket(self.subscriptions.len());
        places
            .into_iter()
            .map(|place| self.subscriptions[place].to_string())
            .collect()
    }

    /// Returns the target of a log that compares; each bucket's last operation is that of its positions.
    pub fn compared(&self) -> Checkpoint {
        let positions = self.positions.as_ref();
        let buckets = positions.map_or(&[][..], |positions| &positions.buckets);
        self.target.checkpoint(|bucket| {
            let known = buckets.iter().find(|known| known.bucket == bucket);
            known.map_or(OpId(0), |bucket| bucket.last_op)
        })
    }

    /// Commits, ends the thread and hands over the database.
    ///
    /// # Errors
    /// What ended the thread.
    pub async fn finish(mut self) -> Result<Synced, DatabaseError> {
        self.send(Command::Finish).await?;
        let Some(thread) = self.thread.take() else {
            return Err(DatabaseError::Panicked);
        };
        let outcome = thread.await.map_err(|_| DatabaseError::Panicked)??;
        let Outcome { finished, waited } = outcome;
        let Finished {
            connection,
            written,
            dense,
        } = finished;
        let last_ops = last_ops(&connection)?;
        let last_op = |bucket: &str| last_ops.get(bucket).copied().unwrap_or(OpId(0));
        Ok(Synced {
            checkpoint: self.target.checkpoint(last_op),
            connection,
            interrupt: self.interrupt,
            waited,
            written,
            dense,
        })
    }

    /// Waits until so many bytes fit beside what the thread has not written yet.
    async fn room_for(&self, line: &Line) -> Option<OwnedSemaphorePermit> {
        let kib = u32::try_from(line.bytes.len() >> 10).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(kib.min(WAITING_KIB));
        // It is never closed. When the thread has ended, what it had not written has made room.
        room.await.ok()
    }

    async fn send_target(&mut self, line: Line) -> Result<(), DatabaseError> {
        if self.positions.is_some() {
            return Ok(());
        }
        let target = Arc::clone(&self.target);
        self.send(Command::Target(line, target)).await
    }

    async fn send(&mut self, command: Command) -> Result<(), DatabaseError> {
        match self.commands.send(command).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.failure().await),
        }
    }

    /// Sends a command and waits for its answer.
    async fn ask<T>(
        &mut self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, DatabaseError> {
        let (reply, answer) = oneshot::channel();
        self.send(command(reply)).await?;
        match answer.await {
            Ok(answer) => Ok(answer),
            Err(_) => Err(self.failure().await),
        }
    }

    /// Returns why the thread ended by itself.
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
pub struct Synced {
    /// The only connection to the database.
    pub connection: Connection,
    /// Stops a long statement when the job is abandoned.
    pub interrupt: InterruptOnDrop,
    /// The checkpoint that the rows are at.
    pub checkpoint: Checkpoint,
    /// How long the thread had nothing to write.
    pub waited: Duration,
    /// How its checkpoints were written.
    pub written: Written,
    /// Whether the file was written in order and has no more unused pages than a copy would have.
    pub dense: bool,
}

/// An explicit subscription as the request has it.
#[derive(Deserialize)]
struct RequestedSubscription {
    stream: String,
    #[serde(default)]
    parameters: Option<Value>,
}

impl fmt::Display for RequestedSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.parameters {
            Some(parameters) => write!(f, "{:?} with the parameters {parameters}", self.stream),
            None => write!(f, "{:?} without parameters", self.stream),
        }
    }
}

/// Returns the explicit subscriptions of a request.
fn subscriptions(request: &str) -> Result<Vec<RequestedSubscription>, DatabaseError> {
    #[derive(Default, Deserialize)]
    struct Request {
        #[serde(default)]
        streams: Streams,
    }
    #[derive(Default, Deserialize)]
    struct Streams {
        #[serde(default)]
        subscriptions: Vec<RequestedSubscription>,
    }
    let request: Request = serde_json::from_str(request).map_err(unexpected)?;
    Ok(request.streams.subscriptions)
}

fn unexpected(error: serde_json::Error) -> DatabaseError {
    DatabaseError::Core(format!("its request cannot be read: {error}"))
}

/// Turns the request of an empty database into that of one that has come as far as `positions`.
fn at_positions(request: &str, positions: &Checkpoint) -> Result<String, DatabaseError> {
    let mut request: Map<String, Value> = serde_json::from_str(request).map_err(unexpected)?;
    let position = |bucket: &BucketCheckpoint| json!({ "name": bucket.bucket, "after": bucket.last_op.to_string() });
    let buckets = positions.buckets.iter().map(position).collect();
    request.insert("buckets".to_owned(), Value::Array(buckets));
    Ok(Value::Object(request).to_string())
}

/// Returns the last operation of each bucket; a bucket without rows has none.
fn last_ops(connection: &Connection) -> Result<HashMap<String, OpId>, DatabaseError> {
    let mut buckets = connection.prepare("SELECT name, last_op FROM ps_buckets")?;
    let rows = buckets.query_map([], |row| Ok((row.get(0)?, OpId(row.get(1)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
