//! A private API server of Kubernetes with its etcd: it keeps, checks and completes objects. Nothing runs them, for there is no
//! controller and no node.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Instant,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    Authority,
    process::{START_TIMEOUT, Server, free_port, program},
    shared::Shared,
};
use crate::machine::{leave_out, tools};

/// The administrator's token, for this server alone.
const TOKEN: &str = "of-this-server-only";

/// A running API server.
pub struct Kubernetes {
    _server: Server,
    _etcd: Server,
    directory: TempDir,
}

/// How kubectl or helm ended.
#[derive(Debug)]
pub struct Answer {
    /// What it was asked.
    pub asked: String,
    /// Its exit code.
    pub code: Option<i32>,
    /// What it printed to standard output.
    pub output: String,
    /// What it printed to standard error.
    pub error: String,
}

impl Kubernetes {
    /// The server that tests share as long as one of them holds it, with the kinds that operators add. Starts it if need be, which
    /// blocks for several seconds. `None`, and a line that says so, where it was not built.
    ///
    /// # Panics
    /// When it does not start.
    pub fn shared() -> Option<Arc<Self>> {
        static SHARED: Shared<Kubernetes> = Shared::new();
        is_built().then(|| {
            SHARED.get(|| {
                let started = Self::launch();
                started.define_kinds();
                started
            })
        })
    }

    /// A server that has only Kubernetes' own kinds. `None`, and a line that says so, where it was not built.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start() -> Option<Self> {
        is_built().then(Self::launch)
    }

    fn launch() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let (etcd, etcd_url) = start_etcd();
        let authority = Authority::new(&directory, "kubernetes");
        let (certificate, key) = authority.sign_localhost();
        let port = free_port();
        let tokens = directory.path().join("tokens.csv");
        fs::write(&tokens, format!("{TOKEN},admin,admin,system:masters\n"))
            .expect("the directory is writable");
        let mut command = Command::new(server_program());
        command
            .arg(format!("--etcd-servers={etcd_url}"))
            .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
            .arg(format!("--secure-port={port}"))
            .arg(format!("--tls-cert-file={certificate}"))
            .arg(format!("--tls-private-key-file={key}"))
            // The tokens of pods: there are no pods, but a server does not start without.
            .arg("--service-account-issuer=https://kubernetes.default.svc")
            .arg(format!("--service-account-key-file={certificate}"))
            .arg(format!("--service-account-signing-key-file={key}"))
            .args(["--service-cluster-ip-range=10.96.0.0/16"])
            .arg("--authorization-mode=RBAC")
            .arg(format!("--token-auth-file={}", tokens.display()));
        let data = tempfile::tempdir().expect("a temporary directory can be made");
        let server = Server::start(command, data, port);
        let trusted = authority.file("pem");
        let kubernetes = Self {
            _server: server,
            _etcd: etcd,
            directory,
        };
        kubernetes.write_access(port, &trusted);
        kubernetes.wait_until_ready();
        kubernetes
    }

    /// What kubectl and helm have to know.
    fn write_access(&self, port: u16, authority: &str) {
        let access = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{ "name": "test", "cluster": {
                "server": format!("https://127.0.0.1:{port}"), "certificate-authority": authority } }],
            "users": [{ "name": "admin", "user": { "token": TOKEN } }],
            "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "admin" } }],
        });
        fs::write(self.access(), access.to_string()).expect("the directory is writable");
    }

    fn access(&self) -> PathBuf {
        self.directory.path().join("kubeconfig")
    }

    fn wait_until_ready(&self) {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let answer = self.kubectl(&["get", "--raw", "/readyz"]);
            if answer.code == Some(0) {
                return;
            }
            assert!(Instant::now() < deadline, "not ready: {answer:?}");
        }
    }

    /// Adds the kinds of KEDA, the Prometheus operator and the External Secrets operator, and waits until they can be used.
    fn define_kinds(&self) {
        let definitions = tools("definitions").display().to_string();
        // What is sent in an annotation would be too long for some of them.
        self.kubectl(&["create", "--recursive", "-f", &definitions])
            .succeeded();
        self.kubectl(&[
            "wait",
            "--for=condition=Established",
            "--timeout=60s",
            "crd",
            "--all",
        ])
        .succeeded();
    }

    /// Runs kubectl on it.
    ///
    /// # Panics
    /// When it is not installed.
    pub fn kubectl(&self, arguments: &[&str]) -> Answer {
        self.kubectl_with(arguments, "")
    }

    /// Runs kubectl on it, with something to read.
    ///
    /// # Panics
    /// When it is not installed.
    pub fn kubectl_with(&self, arguments: &[&str], input: &str) -> Answer {
        self.run("deploy/kubectl/kubectl", arguments, input)
    }

    /// Runs helm on it.
    ///
    /// # Panics
    /// When it is not installed.
    pub fn helm(&self, arguments: &[&str]) -> Answer {
        self.run("deploy/helm/helm", arguments, "")
    }

    /// One object, as the server has it.
    ///
    /// # Panics
    /// When there is none.
    pub fn object(&self, namespace: &str, kind: &str, name: &str) -> Value {
        let arguments = ["--namespace", namespace, "get", kind, name, "-o", "json"];
        let answer = self.kubectl(&arguments).succeeded();
        serde_json::from_str(&answer.output).expect("kubectl was asked for JSON")
    }

    fn run(&self, program: &str, arguments: &[&str], input: &str) -> Answer {
        let mut child = Command::new(tools(program))
            .args(arguments)
            // Neither reads what belongs to whoever runs the tests.
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.directory.path())
            .env("KUBECONFIG", self.access())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{program} cannot be run: {e}"));
        let mut pipe = child.stdin.take().expect("it is piped");
        // One that does not read ends with an error of its own.
        let _ = pipe.write_all(input.as_bytes());
        drop(pipe);
        let ended = child.wait_with_output().expect("it is a child");
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Answer {
            asked: arguments.join(" "),
            code: ended.status.code(),
            output: text(&ended.stdout),
            error: text(&ended.stderr),
        }
    }
}

impl Answer {
    /// The answer, if it is no failure and no warning.
    ///
    /// # Panics
    /// When it is one.
    pub fn fine(self) -> Self {
        let answer = self.succeeded();
        assert!(!answer.error.contains("Warning"), "{answer:?}");
        answer
    }

    /// The answer, if it is no failure.
    ///
    /// # Panics
    /// When it is one.
    pub fn succeeded(self) -> Self {
        assert_eq!(
            self.code,
            Some(0),
            "{}\n{}{}",
            self.asked,
            self.output,
            self.error
        );
        self
    }

    /// What was said, if it is a failure.
    ///
    /// # Panics
    /// When it is none.
    pub fn refused(self) -> String {
        assert!(
            self.code != Some(0),
            "accepted: {}\n{}",
            self.asked,
            self.output
        );
        self.error
    }
}

/// An etcd, and its URL.
fn start_etcd() -> (Server, String) {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let (port, peers) = (free_port(), free_port());
    let url = |port| format!("http://127.0.0.1:{port}");
    let etcd = program([PathBuf::from("/usr/bin/etcd")], "etcd-server");
    let mut command = Command::new(etcd);
    command
        .env_clear()
        .arg("--data-dir")
        .arg(directory.path().join("data"))
        .args(["--listen-client-urls", &url(port)])
        .args(["--advertise-client-urls", &url(port)])
        .args(["--listen-peer-urls", &url(peers)])
        .args(["--initial-advertise-peer-urls", &url(peers)])
        .args(["--initial-cluster", &format!("default={}", url(peers))]);
    (Server::start(command, directory, port), url(port))
}

fn server_program() -> PathBuf {
    tools("kube-apiserver/kube-apiserver")
}

fn is_built() -> bool {
    let is_built = server_program().exists() && Path::new("/usr/bin/etcd").exists();
    if !is_built {
        leave_out(
            "manifests and chart on a real API server of Kubernetes",
            "tests/run.sh kubernetes, which builds one: twelve minutes of CPU, once",
        );
    }
    is_built
}
