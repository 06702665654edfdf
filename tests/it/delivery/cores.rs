//! The versions of the core extension that devices have: each finishes what a worker makes.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use rusqlite::Connection;
use seedbed_protocol::manifest::{Finishing, Form};
use testkit::{
    machine::{leave_out, node, tools},
    pipeline::Pipeline,
    powersync::PowerSync,
};

/// The versions that `tests/cores` does not install: the worker's own, which finishes a file in every test of jobs, one
/// that only the Kotlin SDK (com.powersync:common-jvm 1.14.1) has had, and the one that is compiled.
const ELSEWHERE: [&str; 3] = ["0.4.14", "0.5.1", WITH_DIRECT_TABLES];

/// The first with direct tables, which only the Rust SDK has.
const WITH_DIRECT_TABLES: &str = "0.5.4";

/// Where `@powersync/node` has its core extension, or where it is compiled.
fn extension(version: &str) -> PathBuf {
    if version == WITH_DIRECT_TABLES {
        return tools(format!("core-{version}/debug/libpowersync.so"));
    }
    let machine = match std::env::consts::ARCH {
        "x86_64" => "x64",
        other => other,
    };
    tools(format!(
        "cores/node_modules/core-{version}/lib/libpowersync_{machine}.linux.so"
    ))
}

/// What `tests/cores/finish.js` prints, or says on failure.
fn finish(version: &str, compact: &Path, file: &Path) -> Result<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let ended = Command::new(node())
        .arg("--no-warnings")
        .arg(root.join("tests/cores/finish.js"))
        .arg(extension(version))
        .arg(root.join("protocol/finish/v1.json"))
        .args([compact, file])
        .output()
        .unwrap();
    match ended.status.success() {
        true => Ok(String::from_utf8(ended.stdout).unwrap()),
        false => Err(String::from_utf8_lossy(&ended.stderr).into_owned()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_for_which_a_compact_file_is_offered_makes_the_file_of_it() {
    let service = PowerSync::builder().start().await.unwrap();
    service.add_generated_store("7", 300, 1);
    let mut pipeline = Pipeline::start(&service).await;
    let manifest = pipeline.seed("7").await.unwrap();
    let file = pipeline.file(&manifest);
    let compact = pipeline.directory.path().join("compact.sqlite");
    let mut forms = manifest.forms.iter();
    let form = forms.find(|form| form.form == Form::Compact).unwrap();
    let fetched = pipeline.snapshots.fetch_rendition(form, &compact).await;
    fetched.unwrap();

    let finishing = Finishing::current();
    let versions = finishing.core_versions.iter().map(String::as_str);
    let versions: Vec<_> = versions.filter(|v| !ELSEWHERE.contains(v)).collect();
    assert!(versions.len() >= 4, "{versions:?}");
    for version in &versions {
        let finished = finish(version, &compact, &file).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(finished, format!("{version} json\n{version} raw\n"));
    }
    match extension(WITH_DIRECT_TABLES).exists() {
        true => {
            let finished = finish(WITH_DIRECT_TABLES, &compact, &file);
            let finished = finished.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(finished, "0.5.4 json\n0.5.4 raw\n0.5.4 direct\n");
        }
        false => leave_out(
            "direct tables, which core extension 0.5.4 has",
            "install a nightly toolchain of Rust (1.96 or newer), and run tests/run.sh delivery",
        ),
    }

    // One operation less than the bucket's checksum says.
    let changed = Connection::open(&compact).unwrap();
    let delete = format!("DELETE FROM {} WHERE rowid = 1", Finishing::OPLOG);
    changed.execute_batch(&delete).unwrap();
    drop(changed);
    let error = finish(versions[0], &compact, &file).unwrap_err();
    assert!(error.contains("rows differ"), "{error}");
}
