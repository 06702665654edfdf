//! A program with stores to sweep, and what it has to leave behind however it ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use rusqlite::Connection;
use seedbed_protocol::manifest::Manifest;
use seedbed_worker::snapshot::verify::verify_file;
use serde_json::Value;
use testkit::{
    powersync::PowerSync,
    program::{Ended, Program},
};

pub(super) const DATA: &str = "seedbed-data";

pub(super) const LOCAL: [&str; 4] = ["local", "--json", "--stores", "stores.csv"];

/// The same, where each sweep has to make snapshots although nothing has changed.
pub(super) const FULL: [&str; 5] = ["local", "--json", "--full", "--stores", "stores.csv"];

/// Jobs that are not finished.
pub(super) const IN_FLIGHT: &str =
    "SELECT count(*) FROM jobs WHERE state IN ('listed', 'queued', 'running')";

/// A service with these stores, `rows` rows in each, and the program with a list of them.
pub(super) async fn service_with(stores: &[&str], rows: u32) -> (PowerSync, Program) {
    let service = PowerSync::builder().start().await.unwrap();
    for store in stores {
        service.add_generated_store(store, rows, 1);
    }
    let program = Program::new(&service);
    list(&program, stores);
    (service, program)
}

pub(super) fn list(program: &Program, stores: &[&str]) {
    program.write("stores.csv", format!("store_id\n{}\n", stores.join("\n")));
}

/// The last line of a run.
pub(super) fn summary(ended: &Ended) -> Value {
    let lines = ended.objects();
    let (last, before) = lines.split_last().expect("something was printed");
    assert_eq!(last["type"], "summary", "{ended}");
    for line in before {
        assert_eq!(line["type"], "progress", "{ended}");
        assert!(line["seeded"].is_u64() && line["rows"].is_u64(), "{line}");
    }
    last.clone()
}

/// A snapshot as the catalog lists it.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Listed {
    pub(super) state: String,
    #[serde(flatten)]
    pub(super) manifest: Manifest,
}

/// What `seedbed snapshots` lists; nothing when there is no catalog yet.
pub(super) async fn snapshots(program: &Program, all: bool) -> Vec<Listed> {
    let arguments: &[&str] = match all {
        true => &["snapshots", "--json", "--all"],
        false => &["snapshots", "--json"],
    };
    let ended = program.run(arguments).await;
    if ended.code == Some(1) && ended.error.contains("there is no catalog") {
        return Vec::new();
    }
    assert_eq!(ended.code, Some(0), "{ended}");
    let listed = ended.objects().into_iter();
    listed
        .map(|line| serde_json::from_value(line).unwrap())
        .collect()
}

/// Everything that `seedbed snapshots` lists is there, whole and correct. What it lists.
pub(super) async fn assert_catalog_is_true(program: &Program) -> Vec<Listed> {
    let listed = snapshots(program, true).await;
    for Listed { manifest, .. } in &listed {
        let file = file_of(program, manifest);
        let verified = verify_file(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        assert_eq!(verified.tables, manifest.tables);
        assert_eq!(file.metadata().unwrap().len(), manifest.bytes());
        let beside = manifest_path(program, manifest);
        assert!(beside.exists(), "{} is missing", beside.display());
    }
    let live = listed.iter().filter(|listed| listed.state == "live");
    let stores: Vec<_> = live.map(|listed| &listed.manifest.store_id).collect();
    let distinct: BTreeSet<_> = stores.iter().collect();
    assert_eq!(stores.len(), distinct.len(), "two are live: {stores:?}");
    listed
}

pub(super) fn objects(program: &Program) -> PathBuf {
    program.path(DATA).join("snapshots")
}

pub(super) fn file_of(program: &Program, manifest: &Manifest) -> PathBuf {
    assert_eq!(manifest.renditions.len(), 1);
    objects(program).join(&manifest.renditions[0].key)
}

fn manifest_path(program: &Program, manifest: &Manifest) -> PathBuf {
    file_of(program, manifest).with_extension("json")
}

/// Nothing is half done: no job is in flight, no work directory is left, and each object belongs to a
/// snapshot of the catalog.
pub(super) async fn assert_nothing_is_left(program: &Program) {
    assert_eq!(count(program, IN_FLIGHT), 0);
    let running = "SELECT count(*) FROM runs WHERE state = 'running'";
    assert_eq!(count(program, running), 0);
    let work = std::fs::read_dir(program.path(DATA).join("work")).unwrap();
    let work: Vec<_> = work.map(|entry| entry.unwrap().path()).collect();
    assert!(work.is_empty(), "left: {work:?}");
    let listed = assert_catalog_is_true(program).await;
    let known = listed.iter().flat_map(|Listed { manifest, .. }| {
        let stored = manifest.all_renditions();
        let stored = stored.map(|rendition| objects(program).join(&rendition.key));
        stored.chain([manifest_path(program, manifest)])
    });
    let known: BTreeSet<_> = known.collect();
    let found = files_below(&objects(program));
    let unknown: Vec<_> = found.iter().filter(|file| !known.contains(*file)).collect();
    assert!(unknown.is_empty(), "nothing refers to {unknown:?}");
}

/// The files below a directory; none if it is not there.
pub(super) fn files_below(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    // An entry that is gone again was there before, and is no file to count.
    let paths = entries.flatten().map(|entry| entry.path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => files_below(&path),
            false => vec![path],
        })
        .collect()
}

pub(super) fn catalog(program: &Program) -> Connection {
    Connection::open(program.path(DATA).join("catalog.db")).unwrap()
}

pub(super) fn count(program: &Program, sql: &str) -> u64 {
    let counted = catalog(program).query_row(sql, [], |row| row.get(0));
    counted.unwrap()
}

/// The snapshot's rows are the service's, table by table.
pub(super) fn assert_rows(service: &PowerSync, file: &Path, store: &str) {
    let mut expected: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for row in service.rows(store) {
        let table = expected.entry(row.table.to_string()).or_default();
        table.insert(row.id, row.json);
    }
    let connection = Connection::open(file).unwrap();
    for (table, expected) in expected {
        let mut rows = connection
            .prepare(&format!("SELECT id, data FROM \"ps_data__{table}\""))
            .unwrap();
        let rows = rows
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        let rows: BTreeMap<String, String> = rows.collect::<Result<_, _>>().unwrap();
        assert!(rows == expected, "the rows of {store} in {table} differ");
    }
}
