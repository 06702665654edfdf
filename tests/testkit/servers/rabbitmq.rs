//! A private RabbitMQ server.

use std::{
    fmt::Write as _,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use tempfile::TempDir;

use super::{
    process::{START_TIMEOUT, Server, as_user, data_directory, free_port, program, run},
    shared::Shared,
};

const USER: &str = "rabbitmq";

/// A RabbitMQ server with its own Erlang node, port mapper and data; all of it is gone when this is dropped.
pub struct RabbitMq {
    /// `None` while it is stopped.
    server: Mutex<Option<Server>>,
    node: Node,
    vhosts: AtomicU32,
    _port_mapper: Server,
}

/// What makes it the same server after a restart.
struct Node {
    directory: TempDir,
    programs: PathBuf,
    port: u16,
    tls_port: Option<u16>,
    management_port: Option<u16>,
    distribution_port: u16,
    port_mapper_port: u16,
}

/// The files of a TLS listener, in PEM.
pub struct Certificate<'a> {
    /// The certificate.
    pub certificate: &'a Path,
    /// Its key.
    pub key: &'a Path,
}

impl RabbitMq {
    /// The server that tests share as long as one of them holds it. Starts it if need be, which blocks for
    /// several seconds.
    ///
    /// # Panics
    /// When RabbitMQ is not installed or does not start.
    pub fn shared() -> Arc<Self> {
        static SHARED: Shared<RabbitMq> = Shared::new();
        SHARED.get(Self::start)
    }

    /// Starts a server. Blocks for several seconds.
    ///
    /// # Panics
    /// When RabbitMQ is not installed or does not start.
    pub fn start() -> Self {
        Self::launch(None, None)
    }

    /// Starts a server that also has its management API.
    ///
    /// # Panics
    /// When RabbitMQ is not installed or does not start.
    pub fn start_with_management() -> Self {
        Self::launch(None, Some(free_port()))
    }

    /// Starts a server that also listens with TLS.
    ///
    /// # Panics
    /// When RabbitMQ is not installed or does not start.
    pub fn start_with_tls(certificate: &Certificate<'_>) -> Self {
        Self::launch(Some(certificate), None)
    }

    fn launch(certificate: Option<&Certificate<'_>>, management_port: Option<u16>) -> Self {
        let script = program(
            [PathBuf::from("/usr/lib/rabbitmq/bin/rabbitmq-server")],
            "rabbitmq-server",
        );
        let programs = script
            .parent()
            .expect("a file is in a directory")
            .to_owned();
        let node = Node {
            directory: data_directory(USER),
            programs,
            port: free_port(),
            tls_port: certificate.map(|_| free_port()),
            management_port,
            distribution_port: free_port(),
            port_mapper_port: free_port(),
        };
        node.configure(certificate);
        // Erlang would start one that outlives the server.
        let mut epmd = as_user(USER, Path::new("/usr/bin/epmd"));
        let port = node.port_mapper_port;
        epmd.args(["-address", "127.0.0.1", "-port", &port.to_string()]);
        let port_mapper = Server::start(epmd, data_directory(USER), port);
        let rabbitmq = Self {
            server: Mutex::default(),
            node,
            vhosts: AtomicU32::default(),
            _port_mapper: port_mapper,
        };
        rabbitmq.resume();
        rabbitmq
    }

    /// Its URL with the default user and virtual host.
    pub fn url(&self) -> String {
        self.url_with("guest:guest", "%2F")
    }

    /// Its URL with other credentials (`user:password`) or another virtual host.
    pub fn url_with(&self, credentials: &str, vhost: &str) -> String {
        format!("amqp://{credentials}@127.0.0.1:{}/{vhost}", self.node.port)
    }

    /// The URL of its TLS listener, by the name `localhost`.
    ///
    /// # Panics
    /// When it was started without.
    pub fn tls_url(&self) -> String {
        let port = self.node.tls_port.expect("it was started with TLS");
        format!("amqps://guest:guest@localhost:{port}/%2F")
    }

    /// The URL of its management API.
    ///
    /// # Panics
    /// When it was started without.
    pub fn management_url(&self) -> String {
        let port = self.node.management_port.expect("it was started with it");
        format!("http://127.0.0.1:{port}/")
    }

    /// The URL of a new virtual host.
    ///
    /// # Panics
    /// When RabbitMQ refuses.
    pub fn vhost(&self) -> String {
        let name = format!("test-{}", self.vhosts.fetch_add(1, Ordering::Relaxed));
        self.add_vhost(&name);
        self.allow("guest", &name);
        self.url_with("guest:guest", &name)
    }

    /// Makes a virtual host without permissions.
    ///
    /// # Panics
    /// When RabbitMQ refuses.
    pub fn add_vhost(&self, name: &str) {
        self.ctl(&["add_vhost", name]);
    }

    /// Makes a user that may enter no virtual host.
    ///
    /// # Panics
    /// When RabbitMQ refuses.
    pub fn add_user(&self, name: &str, password: &str) {
        self.ctl(&["add_user", name, password]);
    }

    /// Allows `user` everything in `vhost`.
    ///
    /// # Panics
    /// When RabbitMQ refuses.
    pub fn allow(&self, user: &str, vhost: &str) {
        self.ctl(&["set_permissions", "-p", vhost, user, ".*", ".*", ".*"]);
    }

    /// Closes the connections of every client, from the server's side.
    ///
    /// # Panics
    /// When RabbitMQ refuses.
    pub fn drop_connections(&self) {
        self.ctl(&["close_all_connections", "dropped by a test"]);
    }

    /// Starts it again if it has ended by itself, as its service manager would. Answers whether it had.
    ///
    /// # Panics
    /// When it does not start.
    pub fn revive(&self) -> bool {
        let has_ended = self.has_ended();
        if has_ended {
            self.resume();
        }
        has_ended
    }

    /// Runs `rabbitmqctl` on it and answers what it printed.
    ///
    /// # Panics
    /// When it fails.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        self.try_ctl(arguments)
            .unwrap_or_else(|failed| panic!("{arguments:?} failed:\n{failed}"))
    }

    /// Runs `rabbitmqctl` on it.
    ///
    /// # Errors
    /// What it printed, when it fails.
    pub fn try_ctl(&self, arguments: &[&str]) -> Result<String, String> {
        let mut ctl = self.node.command("rabbitmqctl");
        let Output {
            status,
            stdout,
            stderr,
        } = ctl
            .arg("--quiet")
            .args(arguments)
            .output()
            .expect("rabbitmqctl is beside the server");
        let stdout = String::from_utf8_lossy(&stdout).into_owned();
        let stderr = String::from_utf8_lossy(&stderr);
        match status.success() {
            true => Ok(stdout),
            false => Err(format!("{stdout}{stderr}")),
        }
    }

    /// Kills it as a power failure would; its data stays.
    pub fn stop(&self) {
        self.server().take();
    }

    /// Starts it again after [`Self::stop`]. Blocks until it accepts connections.
    ///
    /// # Panics
    /// When it does not start.
    pub fn resume(&self) {
        let deadline = Instant::now() + START_TIMEOUT;
        self.launch_server();
        // It listens before its commands work, and one that was killed just now may still seem to listen.
        while let Err(failed) = self.try_ctl(&["await_startup"]) {
            assert!(
                Instant::now() < deadline,
                "RabbitMQ does not start:\n{failed}"
            );
            if self.has_ended() {
                self.launch_server();
            }
        }
    }

    fn launch_server(&self) {
        let server = self.node.command("rabbitmq-server");
        let log_directory = data_directory(USER);
        self.stop();
        *self.server() = Some(Server::start(server, log_directory, self.node.port));
    }

    fn has_ended(&self) -> bool {
        self.server().as_mut().is_some_and(Server::has_ended)
    }

    /// [`Self::stop`] and [`Self::resume`].
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&self) {
        self.stop();
        self.resume();
    }

    fn server(&self) -> std::sync::MutexGuard<'_, Option<Server>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Node {
    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn configure(&self, certificate: Option<&Certificate<'_>>) {
        let address = Ipv4Addr::LOCALHOST;
        let mut text = format!("listeners.tcp.default = {address}:{}\n", self.port);
        if let (Some(tls), Some(port)) = (certificate, self.tls_port) {
            let mut copy = |setting: &str, from: &Path| {
                let to = self.file(setting);
                std::fs::copy(from, &to).expect("the certificate can be copied");
                writeln!(text, "ssl_options.{setting} = {}", to.display())
                    .expect("a text takes more");
            };
            copy("certfile", tls.certificate);
            copy("keyfile", tls.key);
            writeln!(text, "listeners.ssl.default = {address}:{port}").expect("a text takes more");
        }
        if let Some(port) = self.management_port {
            writeln!(
                text,
                "management.tcp.ip = {address}\nmanagement.tcp.port = {port}"
            )
            .expect("a text takes more");
            let plugins = "[rabbitmq_management].\n";
            std::fs::write(self.file("plugins"), plugins).expect("its own directory is writable");
        }
        std::fs::write(self.file("rabbitmq.conf"), text).expect("its own directory is writable");
        run(Command::new("chown")
            .args(["--recursive", USER])
            .arg(self.directory.path()));
    }

    /// One of RabbitMQ's programs, for this node only.
    fn command(&self, name: &str) -> Command {
        let mut command = as_user(USER, &self.programs.join(name));
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LANG", "C.UTF-8")
            // The Erlang cookie is made there.
            .env("HOME", self.directory.path())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", self.port_mapper_port.to_string())
            .env(
                "RABBITMQ_NODENAME",
                format!("seedbed-{}@localhost", self.port),
            )
            .env("RABBITMQ_DIST_PORT", self.distribution_port.to_string())
            .env("RABBITMQ_CONFIG_FILE", self.file("rabbitmq.conf"))
            .env("RABBITMQ_CONF_ENV_FILE", self.file("none"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", self.file("plugins"))
            .env("RABBITMQ_MNESIA_BASE", self.file("data"))
            .env("RABBITMQ_LOG_BASE", self.file("log"))
            .env("RABBITMQ_LOGS", "-")
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none",
            )
            .current_dir(self.directory.path());
        command
    }
}
