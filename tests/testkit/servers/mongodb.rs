//! A private server that speaks MongoDB's protocol: FerretDB, which keeps documents in PostgreSQL.

use std::process::Command;

use crate::{
    machine::tools,
    servers::{
        GUARDED_USER, Postgres,
        process::{Server, free_port},
    },
};

/// A FerretDB with an empty database; stopped when this is dropped.
pub struct MongoDb {
    server: Server,
    /// Where it keeps documents and looks up users.
    _postgres: Postgres,
}

impl MongoDb {
    /// Starts the one that `tests/run.sh` has installed; `None` where it could not, for want of Go.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start() -> Option<Self> {
        let program = tools("ferretdb/ferretdb");
        if !program.exists() {
            return None;
        }
        let postgres = Postgres::start();
        postgres.execute(&format!("CREATE USER {GUARDED_USER} PASSWORD 'hunter2'"));
        postgres.execute(&format!("CREATE DATABASE app OWNER {GUARDED_USER}"));
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let port = free_port();
        let mut command = Command::new(program);
        command
            .env_clear()
            .args(["--telemetry=disable", "--debug-addr=-", "--log-level=WARN"])
            .arg(format!("--state-dir={}", directory.path().display()))
            .arg(format!(
                "--postgresql-url=postgres://127.0.0.1:{}/app",
                postgres.port()
            ))
            .arg(format!("--listen-addr=127.0.0.1:{port}"));
        Some(Self {
            server: Server::start(command, directory, port),
            _postgres: postgres,
        })
    }

    /// The URL of its database, for a user with a password. Its SCRAM does without an option that the driver insists on.
    pub fn url(&self) -> String {
        format!(
            "mongodb://{GUARDED_USER}:hunter2@127.0.0.1:{}/app?authMechanism=PLAIN",
            self.server.port
        )
    }
}
