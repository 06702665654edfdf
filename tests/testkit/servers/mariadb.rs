//! A private MariaDB server, which speaks MySQL's protocol.

use std::{path::PathBuf, process::Command};

use crate::servers::process::{Server, as_user, data_directory, free_port, program, run};

const USER: &str = "mysql";

/// A MariaDB server with an empty database; stopped when this is dropped.
pub struct MariaDb {
    server: Server,
}

impl MariaDb {
    /// Starts a server. Blocks for a few seconds.
    ///
    /// # Panics
    /// When MariaDB is not installed or does not start.
    pub fn start() -> Self {
        let installed = |names: [&str; 2]| program(names.map(PathBuf::from), "mariadb-server");
        let install = installed(["/usr/bin/mariadb-install-db", "/usr/bin/mysql_install_db"]);
        let mariadbd = installed(["/usr/sbin/mariadbd", "/usr/sbin/mysqld"]);
        let directory = data_directory(USER);
        let data = directory.path().join("data");
        // --no-defaults: the machine's own configuration is not this server's.
        run(as_user(USER, &install)
            .args([
                "--no-defaults",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ])
            .arg(format!("--datadir={}", data.display())));
        let port = free_port();
        let mut command = as_user(USER, &mariadbd);
        command
            .args([
                "--no-defaults",
                "--bind-address=127.0.0.1",
                "--skip-log-bin",
            ])
            .arg(format!("--port={port}"))
            .arg(format!("--datadir={}", data.display()))
            .arg(format!(
                "--socket={}",
                directory.path().join("socket").display()
            ))
            .arg(format!(
                "--pid-file={}",
                directory.path().join("pid").display()
            ));
        let server = Self {
            server: Server::start(command, directory, port),
        };
        // Over TCP without a password, as a user of its own.
        server.execute(
            "CREATE DATABASE app CHARACTER SET utf8mb4; \
             CREATE USER seedbed@'127.0.0.1' IDENTIFIED BY 'hunter2'; \
             GRANT ALL ON app.* TO seedbed@'127.0.0.1';",
        );
        server
    }

    /// The URL of its database.
    pub fn url(&self) -> String {
        format!("mysql://seedbed:hunter2@127.0.0.1:{}/app", self.server.port)
    }

    /// Runs SQL on it, as its root.
    ///
    /// # Panics
    /// When the SQL fails.
    pub fn execute(&self, sql: &str) {
        let socket = self.server.directory().join("socket");
        run(Command::new("mariadb")
            .arg("--no-defaults")
            .arg(format!("--socket={}", socket.display()))
            .args([
                "--user=root",
                "--default-character-set=utf8mb4",
                "--execute",
                sql,
            ]));
    }
}
