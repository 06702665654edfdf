//! The device: a process that takes one launch, and says what it took.

use std::{
    collections::BTreeMap,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, ensure};
use serde::Deserialize;
use testkit::machine::{client_packages, node};

use crate::disk::{Disk, Watch};

/// What a launch took.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Took {
    pub(crate) millis: f64,
    pub(crate) cpu_millis: f64,
    /// Seconds of each stage of a package's launch.
    pub(crate) stages: BTreeMap<String, f64>,
    /// The longest time that a query waited, in a browser.
    #[serde(default)]
    pub(crate) blocked_millis: f64,
    /// The most memory that the process had resident, in KiB.
    #[serde(default)]
    pub(crate) peak_kib: u64,
    #[serde(skip)]
    pub(crate) bytes: u64,
    #[serde(skip)]
    pub(crate) disk: Disk,
}

/// Runs a script of this folder, with this percentage of a core if there is one. The database is in `directory`.
///
/// # Errors
/// When the launch fails.
pub(crate) fn run(
    script: &str,
    task: &str,
    directory: &Path,
    cpu: Option<u32>,
) -> anyhow::Result<Took> {
    let script = format!("tests/bench/first_launch/{script}");
    let mut command = match cpu {
        None => Command::new(node()),
        Some(percent) => {
            let mut command = Command::new("cpulimit");
            command.args([
                "--quiet",
                "--foreground",
                "--limit",
                &percent.to_string(),
                "--",
            ]);
            command.arg(node());
            command
        }
    };
    let device = command
        .arg(script)
        .current_dir(client_packages())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut device = device.context("cannot start the device")?;
    let mut stdin = device.stdin.take().context("it is piped")?;
    stdin.write_all(task.as_bytes())?;
    drop(stdin);
    let watched = Watch::start(device.id(), directory);
    let output = device.wait_with_output()?;
    let disk = watched.end();
    ensure!(output.status.success(), "the launch failed");
    let printed = String::from_utf8(output.stdout)?;
    let took = printed.lines().find(|line| line.starts_with('{'));
    let took = serde_json::from_str(took.context("it says what it took")?)?;
    Ok(Took { disk, ..took })
}
