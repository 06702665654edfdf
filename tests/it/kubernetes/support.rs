//! The overlay of `deploy/kubernetes` in a namespace of a test's own, and the chart of `deploy/helm`.

use std::{fs, path::PathBuf};

use serde_json::Value;
use tempfile::TempDir;
use testkit::servers::Kubernetes;

/// A file or folder of `deploy/`.
pub(super) fn deploy(path: &str) -> String {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let root = tests.parent().expect("the tests are a folder");
    root.join("deploy").join(path).display().to_string()
}

/// The example overlay as a user changes it: in another namespace, with other images or settings.
pub(super) struct Overlay {
    directory: TempDir,
    namespace: String,
}

impl Overlay {
    /// The example in `namespace`.
    pub(super) fn new(namespace: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let overlay = Self {
            directory,
            namespace: namespace.to_owned(),
        };
        overlay.change("");
        overlay
    }

    /// Adds to its `kustomization.yaml` what was not there, and forgets what was added before.
    pub(super) fn change(&self, lines: &str) {
        let own = self.directory.path().canonicalize().expect("it is there");
        // kustomize takes relative paths only.
        let up = "../".repeat(own.components().count() - 1);
        let example = deploy("kubernetes/overlays/example");
        let base = format!("{up}{}", example.trim_start_matches('/'));
        let text = format!(
            "namespace: {}\nresources: [\"{base}\"]\n{lines}",
            self.namespace
        );
        fs::write(own.join("kustomization.yaml"), text).expect("the directory is writable");
    }

    /// Its folder, for `kubectl apply -k`.
    pub(super) fn folder(&self) -> String {
        self.directory.path().display().to_string()
    }

    /// The objects that kustomize makes of it, by the server's kubectl.
    pub(super) fn objects(&self, kubernetes: &Kubernetes) -> Vec<Value> {
        let made = kubernetes.kubectl(&["kustomize", &self.folder()]).fine();
        // kubectl turns them into JSON without asking the server to keep them.
        let arguments = [
            "create",
            "--dry-run=client",
            "--validate=false",
            "-o",
            "json",
            "-f",
            "-",
        ];
        let listed = kubernetes.kubectl_with(&arguments, &made.output).fine();
        objects_of(&listed.output)
    }
}

/// The objects in what kubectl printed as JSON: one after the other, or lists of them.
pub(super) fn objects_of(printed: &str) -> Vec<Value> {
    let values = serde_json::Deserializer::from_str(printed).into_iter::<Value>();
    let values = values.map(|value| value.expect("kubectl was asked for JSON"));
    values
        .flat_map(|value| match value["items"].as_array() {
            Some(items) => items.clone(),
            None => vec![value],
        })
        .collect()
}
