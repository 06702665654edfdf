//! A private PostgreSQL server.

use std::{
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{
    process::{
        START_TIMEOUT, Server, as_user, data_directory, free_port, program, run, subdirectories,
    },
    shared::Shared,
};

/// Who runs it, and its superuser.
pub(super) const USER: &str = "postgres";

/// A user who, once created, needs a password; all others need none.
pub const GUARDED_USER: &str = "guarded";

/// A PostgreSQL server with an empty database; stopped when this is dropped.
pub struct Postgres {
    server: Server,
    programs: PathBuf,
    databases: AtomicU32,
}

impl Postgres {
    /// The server that tests share as long as one of them holds it. Starts it if need be.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start.
    pub fn shared() -> Arc<Self> {
        static SHARED: Shared<Postgres> = Shared::new();
        SHARED.get(Self::start)
    }

    /// The URL of a new, empty database.
    ///
    /// # Panics
    /// When PostgreSQL refuses.
    pub fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute(&format!("CREATE DATABASE {name}"));
        format!(
            "postgres://{USER}:unused@127.0.0.1:{}/{name}",
            self.server.port
        )
    }

    /// The URL of a new database with all that the one at `url` holds. Nobody may be connected to that.
    ///
    /// # Panics
    /// When PostgreSQL refuses.
    pub fn copy_of(&self, url: &str) -> String {
        let (server, template) = url.rsplit_once('/').expect("the URL names a database");
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute(&format!("CREATE DATABASE {name} TEMPLATE {template}"));
        format!("{server}/{name}")
    }

    /// Starts a server. Blocks for a second or two.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start.
    pub fn start() -> Self {
        let versions = subdirectories("/usr/lib/postgresql").into_iter();
        let initdb = program(versions.map(|path| path.join("bin/initdb")), "postgresql");
        let programs = initdb.parent().expect("a file is in a directory");
        let directory = data_directory(USER);
        let data = directory.path().join("data");
        run(as_user(USER, &initdb)
            .args(["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"])
            .arg(format!("--username={USER}"))
            .arg(&data));
        let rules = data.join("pg_hba.conf");
        let trusting = std::fs::read_to_string(&rules).expect("initdb writes rules");
        let guarded = format!("host all {GUARDED_USER} 127.0.0.1/32 scram-sha-256\n{trusting}");
        std::fs::write(&rules, guarded).expect("the rules can be changed");
        Self::launch(programs.to_owned(), directory)
    }

    /// Starts a standby that has everything which this server confirms: commits wait for it from now on. Blocks for a few
    /// seconds.
    ///
    /// # Panics
    /// When it does not start.
    pub fn standby(&self) -> Self {
        let directory = data_directory(USER);
        let data = directory.path().join("data");
        run(as_user(USER, &self.programs.join("pg_basebackup"))
            .args(["--checkpoint=fast", "--no-sync", "--write-recovery-conf"])
            .args(["--dbname", &self.url()])
            .arg("--pgdata")
            .arg(&data));
        let standby = Self::launch(self.programs.clone(), directory);
        self.execute("ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.execute("SELECT pg_reload_conf()");
        // Returns when the standby has it.
        self.execute("CREATE TABLE IF NOT EXISTS standby_follows ()");
        standby
    }

    /// Makes a standby the primary. Blocks until it takes writes.
    ///
    /// # Panics
    /// When it is no standby.
    pub fn promote(&self) {
        self.execute("SELECT pg_promote()");
    }

    /// Starts PostgreSQL with the data in `directory`.
    fn launch(programs: PathBuf, directory: TempDir) -> Self {
        let port = free_port();
        let mut postgres = as_user(USER, &programs.join("postgres"));
        postgres
            .arg("-D")
            .arg(directory.path().join("data"))
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"])
            .args(["-c", "unix_socket_directories="])
            .args(["-c", &format!("port={port}")]);
        let server = Server::start(postgres, directory, port);
        let postgres = Self {
            server,
            programs,
            databases: AtomicU32::new(1),
        };
        postgres.wait_until_ready();
        postgres
    }

    /// It listens a moment before it takes commands, and refuses them until then.
    fn wait_until_ready(&self) {
        let give_up = Instant::now() + START_TIMEOUT;
        let is_ready = || {
            let mut ask = Command::new(self.programs.join("pg_isready"));
            let answer = ask.args(["--quiet", "--dbname", &self.url()]).status();
            answer.is_ok_and(|status| status.success())
        };
        while !is_ready() {
            assert!(Instant::now() < give_up, "PostgreSQL does not become ready");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Its port on loopback.
    pub fn port(&self) -> u16 {
        self.server.port
    }

    /// The URL of its database.
    pub fn url(&self) -> String {
        format!(
            "postgres://{USER}:unused@127.0.0.1:{}/postgres",
            self.server.port
        )
    }

    /// Runs SQL on it.
    ///
    /// # Panics
    /// When the SQL fails.
    pub fn execute(&self, sql: &str) {
        self.execute_in(&self.url(), sql);
    }

    /// Runs SQL in the database with this URL.
    ///
    /// # Panics
    /// When the SQL fails.
    pub fn execute_in(&self, url: &str, sql: &str) {
        run(Command::new(self.programs.join("psql"))
            .args(["--quiet", "--set=ON_ERROR_STOP=1", "--dbname", url])
            .args(["--command", sql]));
    }
}
