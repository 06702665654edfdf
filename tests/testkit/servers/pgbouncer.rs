//! PgBouncer in front of a PostgreSQL server, in transaction mode: each transaction may get another connection.

use std::path::PathBuf;

use super::{
    postgres::{Postgres, USER},
    process::{Server, as_user, data_directory, free_port, program},
};

/// Connections to the server that all clients share, fewer than one process opens.
const POOL_SIZE: u32 = 3;

/// A PgBouncer; stopped when this is dropped.
pub struct PgBouncer {
    server: Server,
}

impl PgBouncer {
    /// Starts one that pools connections to `postgres`, whatever the database.
    ///
    /// # Panics
    /// When PgBouncer is not installed or does not start.
    pub fn start(postgres: &Postgres) -> Self {
        let bouncer = program([PathBuf::from("/usr/sbin/pgbouncer")], "pgbouncer");
        let directory = data_directory(USER);
        let port = free_port();
        let settings = directory.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n\
             * = host=127.0.0.1 port={} user={USER}\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\n\
             listen_port = {port}\n\
             unix_socket_dir =\n\
             auth_type = any\n\
             pool_mode = transaction\n\
             default_pool_size = {POOL_SIZE}\n\
             server_round_robin = 1\n\
             ignore_startup_parameters = extra_float_digits\n",
            postgres.port()
        );
        std::fs::write(&settings, text).expect("an own directory can be written");
        let mut command = as_user(USER, &bouncer);
        command.arg(settings);
        Self {
            server: Server::start(command, directory, port),
        }
    }

    /// Returns the URL of the database at `url` through this pool.
    ///
    /// # Panics
    /// When `url` is not that of a database of [`Postgres`].
    pub fn url(&self, url: &str) -> String {
        let (server, database) = url.rsplit_once('/').expect("the URL names a database");
        let (user, _) = server.rsplit_once(':').expect("the URL names a port");
        format!("{user}:{}/{database}", self.server.port)
    }
}
