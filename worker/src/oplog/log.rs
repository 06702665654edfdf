//! The private SQLite database of one job, and the thread that writes it.
//!
//! The official core extension is linked in, and driven through `powersync_control` as an SDK would drive it. It
//! does all of the writing, but for the operations of a first checkpoint that can be loaded faster (`load.rs`). Nobody else ever opens the file, so nothing is journalled or
//! fsynced, and everything up to the complete checkpoint is one transaction; a failure throws the file away.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Once,
    time::{Duration, Instant},
};

use rusqlite::{Connection, InterruptHandle, OptionalExtension, ToSql};
use seedbed_protocol::{OpId, message::StreamSubscription};
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};
use tokio::sync::{mpsc, oneshot};

use crate::{
    oplog::bulk::loader::{Loader, Taken},
    oplog::line::LineKind,
    oplog::schema::tables::{Schema, quoted},
    powersync::client::{Line, LineFormat},
};

/// Lines that wait for the database, so that the network and the disk work at the same time. A line has up
/// to about 1 MiB.
const WAITING_LINES: usize = 4;

/// Why the database of a job failed.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// SQLite ran out of disk.
    #[error(
        "the disk of worker.directory is full, or that of SQLite's temporary files (SQLITE_TMPDIR, else /var/tmp): {0}; free some space or lower worker.slots"
    )]
    Full(rusqlite::Error),
    /// SQLite or the core extension refused.
    #[error("SQLite: {0}")]
    Sqlite(rusqlite::Error),
    /// There is no file to write to.
    #[error("cannot make {}: {source}; is worker.directory writable, and its disk not full?", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
    /// A row that is no JSON object.
    #[error("a row of {table:?} cannot be read: {reason}")]
    Row {
        /// Its table.
        table: String,
        /// Why.
        reason: String,
    },
    /// The core extension said something unexpected.
    #[error("the PowerSync core extension: {0}")]
    Core(String),
    /// The thread is gone.
    #[error("the database thread panicked")]
    Panicked,
}

impl From<rusqlite::Error> for DatabaseError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full(error),
            _ => Self::Sqlite(error),
        }
    }
}

/// Makes the database of a connection from [`open`] or [`open_in_memory`] a PowerSync database: its internal
/// tables, empty.
///
/// # Errors
/// What SQLite or the core extension says.
pub fn initialize(connection: &Connection) -> Result<(), DatabaseError> {
    connection.query_row("SELECT powersync_init()", [], |_| Ok(()))?;
    Ok(())
}

/// Opens a file, or makes it, with the core extension loaded.
///
/// # Errors
/// What SQLite says.
pub fn open(path: &Path) -> Result<Connection, DatabaseError> {
    load_core_extension();
    Ok(Connection::open(path)?)
}

/// A database that nobody needs for long, with the core extension loaded.
///
/// # Errors
/// What SQLite says.
pub fn open_in_memory() -> Result<Connection, DatabaseError> {
    load_core_extension();
    Ok(Connection::open_in_memory()?)
}

/// The version of the linked core extension.
///
/// # Errors
/// What SQLite says.
pub fn core_version() -> Result<String, DatabaseError> {
    Ok(open_in_memory()?.query_row("SELECT powersync_rs_version()", [], |row| row.get(0))?)
}

/// Registers the extension for every connection that this process opens from now on.
pub(crate) fn load_core_extension() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        powersync_core::powersync_init_static();
    });
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

/// The writing end of a job's database.
pub struct SyncDatabase {
    commands: mpsc::Sender<Command>,
    thread: Option<oneshot::Receiver<Result<Written, DatabaseError>>>,
    interrupt: InterruptOnDrop,
}

/// What the thread leaves.
struct Written {
    connection: Connection,
    waited: Duration,
    loaded: bool,
    compact: bool,
}

enum Command {
    Start(oneshot::Sender<String>),
    Line(Line),
    PartiallyComplete(Line, oneshot::Sender<Applied>),
    Complete(Line, oneshot::Sender<Applied>),
    Finish,
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
        Self::open_with(move || Writer::go_on(&path, schema, &start)).await
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
                    .send(Ok(InterruptOnDrop::of(&writer.connection)))
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
            compact,
        } = thread.await.map_err(|_| DatabaseError::Panicked)??;
        Ok(SyncedDatabase {
            connection,
            interrupt: self.interrupt,
            waited,
            loaded,
            compact,
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
    pub compact: bool,
}

/// Ends whatever statement a connection runs when it is dropped: the job that wanted it is gone.
pub struct InterruptOnDrop(InterruptHandle);

impl InterruptOnDrop {
    pub(crate) fn of(connection: &Connection) -> Self {
        Self(connection.get_interrupt_handle())
    }
}

impl Drop for InterruptOnDrop {
    fn drop(&mut self) {
        self.0.interrupt();
    }
}

/// The thread's side.
struct Writer {
    connection: Connection,
    schema: Schema,
    start_payload: String,
    iteration: Iteration,
    row_index: DeferredIndexes,
    cache_kib: u32,
    /// Until the first checkpoint is complete, or something comes that is not for it.
    loader: Option<Loader>,
    loaded: bool,
    compact: bool,
}

/// The core extension's view of the current stream.
enum Iteration {
    Active,
    /// The core extension wants no more of this stream, and why.
    Closed(String),
}

impl Writer {
    fn create(path: &Path, schema: Schema, start: &SyncStart) -> Result<Self, DatabaseError> {
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

    fn to_ask(schema: Schema, start: &SyncStart) -> Result<Self, DatabaseError> {
        let mut connection = open_in_memory()?;
        let empty = schema.empty_database()?;
        connection.deserialize_read_exact("main", &empty[..], empty.len(), false)?;
        connection.execute_batch("BEGIN")?;
        let row_index = DeferredIndexes(Vec::new());
        Self::begin(connection, schema, start, row_index, None)
    }

    fn go_on(path: &Path, schema: Schema, start: &SyncStart) -> Result<Self, DatabaseError> {
        let connection = open_alone(path, start.cache_kib)?;
        // The file itself may become the next snapshot: rows that are removed may not stay in its pages.
        connection.pragma_update(None, "secure_delete", "on")?;
        initialize(&connection)?;
        connection.execute_batch("BEGIN")?;
        let row_index = DeferredIndexes(Vec::new());
        Self::begin(connection, schema, start, row_index, None)
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
        let start_payload = json!({
            "parameters": start.parameters,
            "schema": schema.start_payload(),
            "include_defaults": start.default_streams,
        });
        let start_payload = start_payload.to_string();
        Ok(Self {
            connection,
            schema,
            start_payload,
            iteration: Iteration::Closed(String::new()),
            row_index,
            cache_kib: start.cache_kib,
            loader,
            loaded: false,
            compact: false,
        })
    }

    fn run(mut self, mut commands: mpsc::Receiver<Command>) -> Result<Written, DatabaseError> {
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
        // Ends the iteration, whose prepared statements would outlive the transaction.
        self.control("stop", rusqlite::types::Null)?;
        self.connection.execute_batch("COMMIT")?;
        self.connection.flush_prepared_statement_cache();
        Ok(Written {
            connection: self.connection,
            waited,
            loaded: self.loaded,
            compact: self.compact,
        })
    }

    fn start(&mut self) -> Result<String, DatabaseError> {
        #[derive(Deserialize)]
        struct Establish<'a> {
            #[serde(borrow)]
            request: &'a RawValue,
        }
        let instructions = self.control("start", &self.start_payload)?;
        if let Some(loader) = &mut self.loader {
            loader.restart();
        }
        self.iteration = Iteration::Active;
        let mut requests: Vec<Establish<'_>> = instructions.all("EstablishSyncStream")?;
        let request = requests
            .pop()
            .map(|establish| establish.request.to_string());
        request.ok_or_else(|| DatabaseError::Core("it asked for no stream".to_owned()))
    }

    /// Loads a line of data, or hands a line to the core extension.
    fn load_or_line(&mut self, line: &Line) -> Result<(), DatabaseError> {
        if let (Some(loader), Iteration::Active) = (&mut self.loader, &self.iteration) {
            match loader.line(&self.connection, line)? {
                Taken::Loaded => return Ok(()),
                Taken::NoData => {}
                Taken::Refused(reason) => self.give_up_loading(reason)?,
            }
        }
        self.line(line)?;
        Ok(())
    }

    fn give_up_loading(&mut self, reason: &'static str) -> Result<(), DatabaseError> {
        if let Some(loader) = self.loader.take() {
            loader.give_up(&self.connection, reason)?;
            set_cache(&self.connection, self.cache_kib)?;
        }
        Ok(())
    }

    /// Whether what is loaded matches the service's checksums, up to this priority; if not, it is the core
    /// extension that refuses it.
    fn matches(&mut self, priority: Option<u8>) -> Result<bool, DatabaseError> {
        match (&self.loader, &self.iteration) {
            (Some(loader), Iteration::Active) if loader.matches(&self.connection, priority)? => {
                Ok(true)
            }
            _ => {
                self.give_up_loading("the checksums do not match")?;
                Ok(false)
            }
        }
    }

    /// Applies a line; says whether the sync is complete.
    fn line(&mut self, line: &Line) -> Result<bool, DatabaseError> {
        if matches!(self.iteration, Iteration::Closed(_)) {
            // What was under way when the core extension closed the stream; it is asked for again.
            return Ok(false);
        }
        let instructions = match line.format {
            LineFormat::Bson => self.control("line_binary", &line.bytes[..])?,
            LineFormat::Ndjson => {
                let text = std::str::from_utf8(&line.bytes)
                    .map_err(|e| DatabaseError::Core(format!("a line is not UTF-8: {e}")))?;
                self.control("line_text", text)?
            }
        };
        let warnings = instructions.log()?;
        if instructions.has("CloseSyncStream") {
            let reason = if warnings.is_empty() {
                "it closed the stream".to_owned()
            } else {
                warnings
            };
            self.iteration = Iteration::Closed(reason);
        }
        Ok(instructions.has("DidCompleteSync"))
    }

    fn complete(&mut self, line: &Line) -> Result<Applied, DatabaseError> {
        let loaded = self.matches(None)?;
        match self.loader.take() {
            Some(loader) => {
                let (connection, row_index) = (&self.connection, &mut self.row_index);
                self.compact = loader.finish(connection, &self.schema, row_index)?;
                set_cache(&self.connection, self.cache_kib)?;
            }
            None => {
                self.compact = false;
                self.row_index.build(&self.connection)?;
                self.schema.create_inferred(&self.connection)?;
            }
        }
        if self.line(line)? {
            self.loaded |= loaded;
            return Ok(Applied::Yes);
        }
        let refused = self.refused("it did not apply the checkpoint");
        match refused {
            Applied::No(reason) if loaded => Err(DatabaseError::Core(format!(
                "it refused a checkpoint that was loaded: {reason}; set worker.fast_load = false"
            ))),
            refused => Ok(refused),
        }
    }

    fn partially_complete(&mut self, line: &Line) -> Result<Applied, DatabaseError> {
        // Nobody reads the rows before all are there: what is loaded waits for the whole checkpoint.
        if let Ok(LineKind::CheckpointPartiallyComplete(priority)) = LineKind::of(line)
            && self.matches(Some(priority))?
        {
            return Ok(Applied::Yes);
        }
        self.give_up_loading("a partial checkpoint in an unknown form")?;
        self.row_index.build(&self.connection)?;
        self.line(line)?;
        match self.iteration {
            Iteration::Active => Ok(Applied::Yes),
            Iteration::Closed(_) => Ok(self.refused("")),
        }
    }

    /// Why the core extension wants no more of the stream, or else `otherwise`.
    fn refused(&self, otherwise: &str) -> Applied {
        Applied::No(match &self.iteration {
            Iteration::Closed(reason) => reason.clone(),
            Iteration::Active => otherwise.to_owned(),
        })
    }

    fn control(&self, operation: &str, payload: impl ToSql) -> Result<Instructions, DatabaseError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT powersync_control(?1, ?2)")?;
        let json: Option<String> = statement
            .query_row((operation, payload), |row| row.get(0))
            .optional()?;
        Ok(Instructions(json.unwrap_or_else(|| "[]".to_owned())))
    }
}

/// Opens a file that nobody else will ever open.
fn open_alone(path: &Path, cache_kib: u32) -> Result<Connection, DatabaseError> {
    let connection = open(path)?;
    connection.pragma_update(None, "journal_mode", "off")?;
    connection.pragma_update(None, "synchronous", "off")?;
    connection.pragma_update(None, "locking_mode", "exclusive")?;
    set_cache(&connection, cache_kib)?;
    Ok(connection)
}

fn set_cache(connection: &Connection, kib: u32) -> Result<(), DatabaseError> {
    Ok(connection.pragma_update(None, "cache_size", -i64::from(kib))?)
}

/// The index of `ps_oplog` that only applying a checkpoint needs.
const ROW_INDEX: &str = "ps_oplog_row";

/// Indexes that are dropped as long as rows come in an order that is not theirs: keeping them sorted meanwhile
/// costs far more than sorting them once at the end.
pub(crate) struct DeferredIndexes(Vec<String>);

impl DeferredIndexes {
    /// Drops the named ones.
    pub(crate) fn take_from(
        connection: &Connection,
        names: &[&str],
    ) -> Result<Self, DatabaseError> {
        let definition = "SELECT sql FROM sqlite_master WHERE type = 'index' AND name = ?1";
        let mut definitions = Vec::new();
        for name in names {
            definitions.push(connection.query_row(definition, [name], |row| row.get(0))?);
            connection.execute_batch(&format!("DROP INDEX {}", quoted(name)))?;
        }
        Ok(Self(definitions))
    }

    /// Drops those of a table that are not a part of it.
    pub(crate) fn take_all_of(connection: &Connection, table: &str) -> Result<Self, DatabaseError> {
        let mut names = connection.prepare(
            "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ?1 AND sql IS NOT NULL",
        )?;
        let names: Vec<String> = names
            .query_map([table], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        Self::take_from(connection, &names)
    }

    /// Creates them, once.
    pub(crate) fn build(&mut self, connection: &Connection) -> Result<(), DatabaseError> {
        for definition in self.0.drain(..) {
            connection.execute_batch(&definition)?;
        }
        Ok(())
    }
}

fn subscribe(
    connection: &Connection,
    stream: &StreamSubscription,
    ttl: u64,
) -> Result<(), DatabaseError> {
    let request = json!({ "subscribe": {
        "stream": { "name": stream.stream, "params": stream.parameters },
        "ttl": ttl,
        "priority": stream.priority,
    } });
    connection.query_row(
        "SELECT powersync_control('subscriptions', ?1)",
        [request.to_string()],
        |_| Ok(()),
    )?;
    Ok(())
}

/// What the core extension asks for after an event: a JSON array of objects with one field each.
struct Instructions(String);

impl Instructions {
    fn has(&self, name: &str) -> bool {
        // Cheaper than reading the download progress that comes with every line; a field's name cannot
        // stand in a text with its quotes unescaped.
        self.0.contains(&format!("{{\"{name}\":"))
    }

    /// The bodies of all instructions with this name.
    fn all<'a, T: Deserialize<'a>>(&'a self, name: &str) -> Result<Vec<T>, DatabaseError> {
        let unexpected = |e: serde_json::Error| {
            DatabaseError::Core(format!("an instruction cannot be read: {e}"))
        };
        let instructions: Vec<HashMap<&str, &RawValue>> =
            serde_json::from_str(&self.0).map_err(unexpected)?;
        let bodies = instructions
            .iter()
            .filter_map(|instruction| instruction.get(name));
        bodies
            .map(|body| serde_json::from_str(body.get()).map_err(unexpected))
            .collect()
    }

    /// Passes the core extension's log lines on and returns its warnings.
    fn log(&self) -> Result<String, DatabaseError> {
        #[derive(Deserialize)]
        struct LogLine {
            severity: String,
            line: String,
        }
        let mut warnings = Vec::new();
        // Most lines come without one, and their download progress is not worth reading.
        let logged: Vec<LogLine> = if self.has("LogLine") {
            self.all("LogLine")?
        } else {
            Vec::new()
        };
        for LogLine { severity, line } in logged {
            if severity == "WARNING" {
                tracing::warn!("core extension: {line}");
                warnings.push(line);
            } else {
                tracing::debug!("core extension: {line}");
            }
        }
        Ok(warnings.join("; "))
    }
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
