//! A database server that belongs to one test: its own data directory, its own port on loopback, and gone
//! when the test ends, however it ends.

use std::{
    fs::Permissions,
    io,
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Initialising a database and starting it takes seconds; a busy machine gets more.
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A running server. Dropping it kills the server and everything that it started.
pub(crate) struct Server {
    child: Child,
    directory: TempDir,
    /// Where it listens.
    pub(crate) port: u16,
}

impl Server {
    /// Starts `command` and waits until it accepts connections.
    ///
    /// # Panics
    /// When it ends early or does not listen in time; shows what it has logged.
    pub(crate) fn start(mut command: Command, directory: TempDir, port: u16) -> Self {
        let log = directory.path().join("server.log");
        let output = std::fs::File::create(&log).expect("a log file can be made");
        let errors = output.try_clone().expect("the log file can be shared");
        // A process group of its own, so that children of the server end with it.
        command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors);
        let child = command
            .spawn()
            .unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
        let mut server = Self {
            child,
            directory,
            port,
        };
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let ended = server.child.try_wait().expect("the server is a child");
            let log = || std::fs::read_to_string(&log).unwrap_or_default();
            assert!(ended.is_none(), "{command:?} ended early:\n{}", log());
            assert!(
                Instant::now() < deadline,
                "{command:?} does not listen:\n{}",
                log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// Whether it ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("the server is a child")
            .is_some()
    }

    /// Its data and its log.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The `kill` program instead of the system call: this workspace has no unsafe code.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.child.wait();
    }
}

/// A directory that also the server's user can enter, if that is another one.
pub(crate) fn data_directory(user: &str) -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    if is_root() {
        std::fs::set_permissions(directory.path(), Permissions::from_mode(0o755))
            .expect("the mode of an own directory can be set");
        run(Command::new("chown").arg(user).arg(directory.path()));
    }
    directory
}

/// `program`, as `user` if this is root: database servers refuse to run as root.
pub(crate) fn as_user(user: &str, program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .arg(format!("--reuid={user}"))
        .arg(format!("--regid={user}"))
        .args(["--init-groups", "--"])
        .arg(program);
    command
}

/// Runs `command` to its end.
///
/// # Panics
/// When it fails; shows what it printed.
pub(crate) fn run(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
    assert!(
        output.status.success(),
        "{command:?} failed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A port that is free now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    address.expect("loopback has a free port").port()
}

/// The first of `candidates` that exists.
///
/// # Panics
/// When none does; names the Debian package to install.
pub(crate) fn program(candidates: impl IntoIterator<Item = PathBuf>, package: &str) -> PathBuf {
    let found = candidates.into_iter().find(|path| path.exists());
    found.unwrap_or_else(|| panic!("a database server is missing: apt-get install {package}"))
}

/// The subdirectories of `directory`, the last by name first; none if it does not exist.
pub(crate) fn subdirectories(directory: &str) -> Vec<PathBuf> {
    let entries = || -> io::Result<Vec<PathBuf>> {
        std::fs::read_dir(directory)?
            .map(|entry| Ok(entry?.path()))
            .collect()
    };
    let mut paths = entries().unwrap_or_default();
    paths.sort();
    paths.reverse();
    paths
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
