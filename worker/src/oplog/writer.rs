//! Runs the engine of a job's database on a thread of its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::{
    checkpoint::TargetCheckpoint,
    engine::{Applied, Engine, Finished},
    operations::{Batch, Reason},
    sqlite::DatabaseError,
};
use crate::powersync::Line;

/// The written database.
pub(super) struct Outcome {
    pub(super) finished: Finished,
    /// How long the thread had nothing to write.
    pub(super) waited: Duration,
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

/// The thread of one job's database.
pub(super) struct Writer {
    engine: Engine,
    /// Whether the engine takes decoded operations, for the side that reads the lines.
    takes_operations: Arc<AtomicBool>,
}

impl Writer {
    pub(super) fn of(engine: Engine) -> Self {
        Self {
            takes_operations: Arc::new(AtomicBool::new(engine.takes_operations())),
            engine,
        }
    }

    /// Returns a flag that is set as long as the engine takes decoded operations. Only then is it worth decoding them.
    pub(super) fn takes_operations(&self) -> Arc<AtomicBool> {
        self.takes_operations.clone()
    }

    /// Works off the commands until the last one, then commits.
    pub(super) fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
    ) -> Result<Outcome, DatabaseError> {
        let engine = &mut self.engine;
        let mut waited = Duration::ZERO;
        loop {
            let waiting = Instant::now();
            let command = commands.blocking_recv();
            waited += waiting.elapsed();
            match command {
                Some(Command::Start(reply)) => drop(reply.send(engine.start()?)),
                Some(Command::Data(line, batch, _room)) => engine.data(&line, batch)?,
                Some(Command::Target(line, target)) => engine.target(&line, target)?,
                Some(Command::Other(line)) => engine.other(&line)?,
                Some(Command::PartiallyComplete(line, priority, reply)) => {
                    drop(reply.send(engine.partially_complete(&line, priority)?));
                }
                Some(Command::Complete(line, reply)) => drop(reply.send(engine.complete(&line)?)),
                Some(Command::Finish) => break,
                None => return Err(DatabaseError::Abandoned),
            }
            self.takes_operations
                .store(engine.takes_operations(), Ordering::Relaxed);
        }
        let finished = self.engine.finish()?;
        Ok(Outcome { finished, waited })
    }
}
