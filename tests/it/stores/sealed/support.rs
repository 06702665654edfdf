//! A store with a text that can be searched for, and the libraries of both formats.

use std::path::{Path, PathBuf};

use seedbed_protocol::manifest::Encoding;
use serde_json::Value;
use testkit::{machine::tools, powersync::PowerSync};
use tokio::process::Command;

pub(super) const STORE: &str = "7";

pub(super) const ROWS: u32 = 400;

/// In a row of the store, and nowhere else.
pub(super) const TEXT: &str = "Unmistakable pickles 4711";

pub(super) const SEALING_KEY: &str =
    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// The same for the next key, in base64.
pub(super) const NEXT_KEY: &str = "/+7dzLuqmYh3ZlVEMyIRAP/u3cy7qpmId2ZVRDMiEQA=";

pub(super) fn plant(service: &PowerSync) {
    let row = service.rows(STORE).find(|row| &*row.table == "products");
    let row = row.unwrap();
    let mut json: Value = serde_json::from_str(&row.json).unwrap();
    json["id"] = row.id.into();
    json["name"] = TEXT.into();
    service.put("products", json);
}

/// Runs the library of a format on a sealed file.
pub(super) async fn check_sealed(encoding: Encoding, sealed: &Path, key: &str, plain: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("sealed/check.py");
    let output = Command::new(tools("sealed/bin/python"))
        .arg(script)
        .arg(encoding.name())
        .args([sealed, Path::new(key), plain, Path::new(TEXT)])
        .kill_on_drop(true)
        .output();
    let output = output.await.expect("tests/run.sh installs it");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {error}", encoding.name());
}

/// Every file below a folder, and what is in it.
pub(super) fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&entry.path())),
            false => found.push((entry.path(), std::fs::read(entry.path()).unwrap())),
        }
    }
    found
}

/// The files below a folder that hold one of these texts.
pub(super) fn holding(folder: &Path, texts: &[&str]) -> Vec<PathBuf> {
    let holds = |content: &[u8], text: &str| {
        content
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    let found = files(folder).into_iter();
    let found = found.filter(|(_, content)| texts.iter().any(|text| holds(content, text)));
    found.map(|(path, _)| path).collect()
}
