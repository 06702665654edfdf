//! The stand-in PowerSync service in a process of its own, so that what it uses is not taken for a client's.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::{pipeline::Access, program};

/// What PowerSync's service takes for an operation.
pub const OPERATION_TIME: Duration = Duration::from_micros(30);

/// Ended when this is dropped.
pub struct StandIn {
    process: Child,
    /// What a client has to know, as the program printed it.
    pub printed: String,
}

impl StandIn {
    /// Starts `powersync-stand-in` with stores of so many generated rows.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start<'a>(stores: impl IntoIterator<Item = (&'a str, u32)>) -> Self {
        Self::paced(stores, Duration::ZERO)
    }

    /// Starts it so that each operation takes this long to be sent.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn paced<'a>(
        stores: impl IntoIterator<Item = (&'a str, u32)>,
        operation_time: Duration,
    ) -> Self {
        let stores = stores.into_iter();
        let stores = stores.map(|(store, rows)| format!("--store-rows={store}={rows}"));
        let program = program::stand_in();
        let process = Command::new(&program)
            .args(stores)
            .arg(format!("--operation-micros={}", operation_time.as_micros()))
            .stdout(Stdio::piped())
            .spawn();
        let mut process =
            process.unwrap_or_else(|e| panic!("cannot run {}: {e}", program.display()));
        let stdout = process.stdout.take().expect("it is piped");
        let mut printed = String::new();
        let read = BufReader::new(stdout).read_line(&mut printed);
        read.expect("the stand-in says where it is");
        Self { process, printed }
    }

    /// What a client has to know.
    ///
    /// # Panics
    /// When the stand-in did not start.
    pub fn access(&self) -> Access {
        serde_json::from_str(&self.printed).expect("the stand-in says where it is")
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
