//! What every Seedbed process has: its runtime, the signals that stop it, its exit codes, and how it asks other servers
//! ([`outbound`]).

pub mod outbound;

use std::{
    io::{self, Write},
    process,
};

use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use crate::error::text::visible;

/// Exit code: something was started, and some of it failed.
pub const FAILED: u8 = 1;

/// Exit code: the command line or the settings are wrong, and nothing was started.
pub const USAGE: u8 = 2;

/// Exit code: a part is away, nothing was started, and the same call may succeed later.
pub const LATER: u8 = 3;

/// Exit code: stopped by a second signal, as a shell reports a process that Ctrl-C ended.
pub const INTERRUPTED: u8 = 130;

/// Returns the runtime that a program runs on.
///
/// # Errors
/// When the system refuses threads or its event queue.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().enable_all().build()
}

/// Ctrl-C and SIGTERM, which no longer end the process by themselves once this exists.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Starts to listen.
    ///
    /// # Errors
    /// When the system refuses a signal handler.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Returns a token that the first signal cancels, after `notice` is printed to standard error. A signal that
    /// finds it cancelled ends the process with [`INTERRUPTED`].
    pub fn cancelling(mut self, notice: &'static str) -> CancellationToken {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move {
            loop {
                self.next().await;
                if stopped.is_cancelled() {
                    interrupt();
                }
                say_line(&format!("{notice} (once more to stop at once)"));
                stopped.cancel();
            }
        });
        stop
    }
}

/// Returns whether a process may listen at an address later, without any change: another one has it, or the network is not
/// up yet.
pub fn may_listen_later(refused: &io::Error) -> bool {
    matches!(
        refused.kind(),
        io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable
    )
}

/// Ends the process at once, as a second signal asks for.
pub fn interrupt() -> ! {
    process::exit(INTERRUPTED.into())
}

/// Prints one line to standard error, with what could change a terminal spelled out. A reader that has gone away is no
/// reason to fail.
pub fn say_line(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", visible(line));
}

/// Prints one line to standard error, as `eprintln!` does, by [`process::say_line`](crate::process::say_line).
#[macro_export]
macro_rules! say {
    ($($line:tt)*) => {
        $crate::process::say_line(&format!($($line)*))
    };
}
