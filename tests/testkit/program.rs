//! The programs `seedbed` and `seedbed-worker` as a shell runs them: a process of its own, in a directory of its own, told by its
//! environment where the service is.

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::OnceLock,
    time::Duration,
};

use serde_json::Value;
use tempfile::{NamedTempFile, TempDir};
use tokio::process::Child;

use crate::{pipeline::Access, wait};

/// Longer than anything takes that a test waits for; a process that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(180);

/// A directory to run the program in, and the environment to run it with.
pub struct Program {
    directory: TempDir,
    environment: Vec<(String, String)>,
    /// Where programs of another version are, if it is to be those.
    other_version: Option<PathBuf>,
}

impl Program {
    /// An empty directory, and an environment that names `service`; impatient where a test would wait.
    pub fn new(service: impl Into<Access>) -> Self {
        let service = service.into();
        let mut program = Self {
            directory: tempfile::tempdir().expect("a temporary directory can be made"),
            environment: Vec::new(),
            other_version: None,
        };
        program.set("POWERSYNC__ENDPOINT", service.endpoint);
        program.set("TOKEN__SECRET", service.secret);
        program.set("TOKEN__KID", service.kid);
        program.set("SERVE__LISTEN", "127.0.0.1:0");
        program.set("WORKER__SLOTS", "3");
        program.set("WORKER__CACHE_MIB", "8");
        program.set("WORKER__MAX_ATTEMPTS", "2");
        program.set("WORKER__BACKOFF", "20ms");
        program.set("WORKER__MAX_BACKOFF", "100ms");
        program
    }

    /// Starts from now on the programs in `folder`, of another version; `None` for those of this one.
    pub fn set_version(&mut self, folder: Option<PathBuf>) {
        self.other_version = folder;
    }

    /// Changes a setting: the name of its variable without `SEEDBED_`.
    pub fn set(&mut self, setting: &str, value: impl Into<String>) {
        self.set_variable(&format!("SEEDBED_{setting}"), value);
    }

    /// Leaves a setting to its default.
    pub fn unset(&mut self, setting: &str) {
        let name = format!("SEEDBED_{setting}");
        self.environment.retain(|(known, _)| *known != name);
    }

    /// Changes any variable.
    pub fn set_variable(&mut self, name: &str, value: impl Into<String>) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.into()));
    }

    /// Adds environment variables that are no settings, such as credentials.
    pub fn set_variables(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        self.environment.extend(variables);
    }

    /// A path below the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file below the directory.
    ///
    /// # Panics
    /// When that is impossible.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).expect("the directory is writable");
    }

    /// Starts `seedbed`.
    ///
    /// # Panics
    /// When it cannot be built or started.
    pub fn start(&self, arguments: &[&str]) -> Process {
        self.start_program("seedbed", arguments)
    }

    /// Starts `seedbed-worker`.
    ///
    /// # Panics
    /// When it cannot be built or started.
    pub fn start_worker(&self) -> Process {
        self.start_program("seedbed-worker", &[])
    }

    fn programs(&self) -> &Path {
        let other_version = self.other_version.as_deref();
        other_version.unwrap_or_else(|| programs())
    }

    fn start_program(&self, name: &str, arguments: &[&str]) -> Process {
        let files = [(); 2].map(|()| NamedTempFile::new().expect("a temporary file can be made"));
        let [output, error] = files;
        let open = |file: &NamedTempFile| file.reopen().expect("the file is there");
        let mut command = tokio::process::Command::new(self.programs().join(name));
        command
            .args(arguments)
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(open(&output))
            .stderr(open(&error))
            .kill_on_drop(true);
        // What the caller's shell sets is not what the test sets.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SEEDBED_")) {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().cloned());
        let child = command.spawn();
        Process {
            child: child.expect("the program can be started"),
            output,
            error,
        }
    }

    /// Runs `seedbed check`, which ends with `code`: each part by its name, whether it is right, and what is said of it.
    ///
    /// # Panics
    /// When it ends otherwise.
    pub async fn check(&self, code: i32) -> HashMap<String, (bool, String)> {
        let ended = self
            .run(&["check", "--stores", "stores.ndjson", "--json"])
            .await;
        assert_eq!(ended.code, Some(code), "{ended}");
        let checked = ended.objects().remove(0);
        assert_eq!(checked["ok"], code == 0);
        let part = |part: &Value| {
            let text = |name: &str| part[name].as_str().expect("it is a text").to_owned();
            let is_right = part["ok"].as_bool().expect("it is right or not");
            (text("part"), (is_right, text("detail")))
        };
        let parts = checked["parts"].as_array().expect("there are parts");
        parts.iter().map(part).collect()
    }

    /// Runs `seedbed` to its end.
    ///
    /// # Panics
    /// When it does not end in time.
    pub async fn run(&self, arguments: &[&str]) -> Ended {
        self.start(arguments).end().await
    }
}

/// A running program; killed when it is dropped.
pub struct Process {
    child: Child,
    // Files rather than pipes: they can be looked at any time, and a slow reader never holds the program up.
    output: NamedTempFile,
    error: NamedTempFile,
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it printed to standard output.
    pub output: String,
    /// What it printed to standard error.
    pub error: String,
}

impl Ended {
    /// The JSON objects that it printed, one a line.
    ///
    /// # Panics
    /// When a line is something else.
    pub fn objects(&self) -> Vec<Value> {
        json_lines(&self.output)
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            code,
            output,
            error,
        } = self;
        write!(
            f,
            "exit code {code:?}\n--- output\n{output}\n--- error\n{error}"
        )
    }
}

impl Process {
    /// What it has printed to standard output so far.
    pub fn output(&self) -> String {
        read(self.output.path())
    }

    /// What it has printed to standard error so far.
    pub fn error(&self) -> String {
        read(self.error.path())
    }

    /// Whether it still runs.
    ///
    /// # Panics
    /// When the system does not tell.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is a child").is_none()
    }

    /// Sends a signal, such as `INT`.
    ///
    /// # Panics
    /// When it has ended.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().expect("it was not waited for").to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(
            sent.is_ok_and(|status| status.success()),
            "cannot send {name} to {id}"
        );
    }

    /// Kills it, which it cannot notice, and waits until it is gone. Whether it was still running.
    ///
    /// # Panics
    /// When the system refuses.
    pub async fn kill(mut self) -> bool {
        let running = self.is_running();
        self.child.kill().await.expect("it is a child");
        running
    }

    /// The most memory that it has had, in KiB; `None` when it has ended.
    pub fn peak_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?;
        peak.trim().strip_suffix(" kB")?.parse().ok()
    }

    /// Looks at it until `condition` holds.
    ///
    /// # Panics
    /// When it ends before that, or the condition does not come true in time.
    pub async fn until(&mut self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        wait::until(what, async || {
            let holds = condition(self);
            if !holds && !self.is_running() {
                panic!("ended before {what}: {}{}", self.output(), self.error());
            }
            holds
        })
        .await;
    }

    /// Tells it to stop, and waits until it has.
    ///
    /// # Panics
    /// When it does not end well, and in time.
    pub async fn stop(self) -> Ended {
        self.signal("TERM");
        let ended = self.end().await;
        assert_eq!(ended.code, Some(0), "{ended}");
        ended
    }

    /// Waits until it ends.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn end(mut self) -> Ended {
        let ended = tokio::time::timeout(LIMIT, self.child.wait()).await;
        let Ok(status) = ended else {
            panic!("still running: {}{}", self.output(), self.error());
        };
        let status: ExitStatus = status.expect("it is a child");
        Ended {
            code: status.code(),
            output: self.output(),
            error: self.error(),
        }
    }
}

/// Tells programs to stop, and waits until they have.
///
/// # Panics
/// When one does not end well, and in time.
pub async fn stop(processes: Vec<Process>) {
    for process in processes {
        process.stop().await;
    }
}

/// A text of JSON objects, one a line.
///
/// # Panics
/// When a line is something else.
pub fn json_lines(text: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    text.lines().map(parse).collect()
}

fn read(file: &Path) -> String {
    let bytes = std::fs::read(file).expect("the file stays until the process is dropped");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The path of the program `seedbed`.
pub fn seedbed() -> PathBuf {
    programs().join("seedbed")
}

/// The stand-in PowerSync service as a program.
pub fn stand_in() -> PathBuf {
    programs().join("powersync-stand-in")
}

/// Where the programs are, built once for all tests, with the profile of the tests, so that a test never meets an
/// older one.
fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let test = std::env::current_exe().expect("a test is a file");
        // target/<profile>/deps/<test>
        let directory = test.ancestors().nth(2).expect("cargo's layout");
        let target = directory.parent().expect("cargo's layout");
        let profile = match directory.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => "dev",
            Some(profile) => profile,
        };
        let mut build = Command::new(env!("CARGO"));
        build
            // With the features of the whole workspace, as the tests are built: nothing is compiled twice.
            .args(["build", "--quiet", "--workspace", "--bins"])
            .args(["--profile", profile, "--target-dir"])
            .arg(target)
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        // What cargo tells a test about its package would make a build script run again, and half of the
        // dependencies with it.
        let of_package =
            |name: &String| name.starts_with("CARGO_MANIFEST_") || name.starts_with("CARGO_PKG_");
        for (name, _) in std::env::vars().filter(|(name, _)| of_package(name)) {
            build.env_remove(name);
        }
        let built = build.status();
        assert!(
            built.is_ok_and(|status| status.success()),
            "the programs do not build"
        );
        directory.to_owned()
    })
}
