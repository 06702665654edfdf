//! `seedbed local`, the program, from the list of stores to the snapshots: what it promises to the shell, and
//! what it leaves behind however it ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rusqlite::Connection;
use seedbed_protocol::message::Manifest;
use seedbed_worker::verify::verify_file;
use serde_json::Value;
use testkit::{
    mounts::Tmpfs,
    powersync::{Fault, PowerSync},
    program::{Ended, Process, Program},
};

const DATA: &str = "seedbed-data";
const LOCAL: [&str; 4] = ["local", "--json", "--stores", "stores.csv"];

/// The same, where each sweep has to make snapshots although nothing has changed.
const FULL: [&str; 5] = ["local", "--json", "--full", "--stores", "stores.csv"];

/// Jobs that somebody still has to work on.
const IN_FLIGHT: &str = "SELECT count(*) FROM jobs WHERE state IN ('listed', 'queued', 'running')";

/// A service with these stores, `rows` rows in each, and the program with a list of them.
async fn service_with(stores: &[&str], rows: u32) -> (PowerSync, Program) {
    let service = PowerSync::builder().start().await.unwrap();
    for store in stores {
        service.add_generated_store(store, rows, 1);
    }
    let program = Program::new(&service);
    list(&program, stores);
    (service, program)
}

fn list(program: &Program, stores: &[&str]) {
    program.write("stores.csv", format!("store_id\n{}\n", stores.join("\n")));
}

/// The lines of `--json`.
fn json_lines(output: &str) -> Vec<Value> {
    let parsed = output.lines().map(serde_json::from_str);
    parsed
        .collect::<Result<_, _>>()
        .unwrap_or_else(|e| panic!("{e}: {output}"))
}

/// The last line of a run.
fn summary(ended: &Ended) -> Value {
    let lines = json_lines(&ended.output);
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
struct Listed {
    state: String,
    #[serde(flatten)]
    manifest: Manifest,
}

/// What `seedbed snapshots` lists; nothing when there is no catalog yet.
async fn snapshots(program: &Program, all: bool) -> Vec<Listed> {
    let arguments: &[&str] = match all {
        true => &["snapshots", "--json", "--all"],
        false => &["snapshots", "--json"],
    };
    let ended = program.run(arguments).await;
    if ended.code == Some(1) && ended.error.contains("there is no catalog") {
        return Vec::new();
    }
    assert_eq!(ended.code, Some(0), "{ended}");
    json_lines(&ended.output)
        .into_iter()
        .map(|line| serde_json::from_value(line).unwrap())
        .collect()
}

/// Everything that `seedbed snapshots` lists is there, whole and correct. What it lists.
async fn assert_catalog_is_true(program: &Program) -> Vec<Listed> {
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

fn objects(program: &Program) -> PathBuf {
    program.path(DATA).join("snapshots")
}

fn file_of(program: &Program, manifest: &Manifest) -> PathBuf {
    assert_eq!(manifest.renditions.len(), 1);
    objects(program).join(&manifest.renditions[0].key)
}

fn manifest_path(program: &Program, manifest: &Manifest) -> PathBuf {
    file_of(program, manifest).with_extension("json")
}

/// Nothing is half done: no job is in flight, no work directory is left, and each object belongs to a
/// snapshot of the catalog.
async fn assert_nothing_is_left(program: &Program) {
    assert_eq!(count(program, IN_FLIGHT), 0);
    let running = "SELECT count(*) FROM runs WHERE state = 'running'";
    assert_eq!(count(program, running), 0);
    let work = std::fs::read_dir(program.path(DATA).join("work")).unwrap();
    let work: Vec<_> = work.map(|entry| entry.unwrap().path()).collect();
    assert!(work.is_empty(), "left: {work:?}");
    let listed = assert_catalog_is_true(program).await;
    let known = listed.iter().flat_map(|Listed { manifest, .. }| {
        [file_of(program, manifest), manifest_path(program, manifest)]
    });
    let known: BTreeSet<_> = known.collect();
    let found = files_below(&objects(program));
    let unknown: Vec<_> = found.iter().filter(|file| !known.contains(*file)).collect();
    assert!(unknown.is_empty(), "nothing refers to {unknown:?}");
}

/// The files below a directory; none if it is not there.
fn files_below(directory: &Path) -> Vec<PathBuf> {
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

fn catalog(program: &Program) -> Connection {
    Connection::open(program.path(DATA).join("catalog.db")).unwrap()
}

fn count(program: &Program, sql: &str) -> u64 {
    let counted = catalog(program).query_row(sql, [], |row| row.get(0));
    counted.unwrap()
}

/// The snapshot's rows are the service's, table by table.
fn assert_rows(service: &PowerSync, file: &Path, store: &str) {
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

/// Numbers that look random and are the same in each run of the tests (SplitMix64).
struct Dice(u64);

impl Dice {
    /// From 0 to below `limit`.
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_store_gets_a_verified_snapshot_with_the_rows_of_the_service() {
    let stores = ["berlin", "Köln 1", "empty", "7"];
    let (service, program) = service_with(&["berlin", "Köln 1", "7"], 700).await;
    service.add_store("empty");
    list(&program, &stores);

    let ended = program.run(&LOCAL).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    let summary = summary(&ended);
    for (field, expected) in [("stores", 4), ("seeded", 4), ("failed", 0), ("rows", 2100)] {
        assert_eq!(summary[field], expected, "{field} of {summary}");
    }
    assert_eq!(summary["failures"], Value::Array(Vec::new()));
    assert!(summary["seconds"].is_f64());

    let listed = snapshots(&program, false).await;
    let seeded: BTreeSet<_> = listed
        .iter()
        .map(|l| l.manifest.store_id.as_str())
        .collect();
    assert_eq!(seeded, BTreeSet::from(stores));
    let bytes: u64 = listed.iter().map(|l| l.manifest.bytes()).sum();
    assert_eq!(summary["bytes"], bytes);
    for Listed { manifest, .. } in &listed {
        assert_eq!(summary["run_id"], manifest.run_id.to_string());
        assert_rows(
            &service,
            &file_of(&program, manifest),
            manifest.store_id.as_str(),
        );
        let ended = program.run(&["verify", manifest.store_id.as_str()]).await;
        assert_eq!(ended.code, Some(0), "{ended}");
    }
    assert_nothing_is_left(&program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_that_fail_are_named_and_keep_their_older_snapshot_and_all_others_are_seeded() {
    let (service, program) = service_with(&["1", "2", "3"], 100).await;
    assert_eq!(program.run(&FULL).await.code, Some(0));
    let before = snapshots(&program, false).await;

    list(&program, &["1", "2", "3", "nobody"]);
    service.faults().always_for("2", Fault::WrongChecksum);
    let ended = program.run(&FULL).await;
    assert_eq!(ended.code, Some(1), "{ended}");
    let summary = summary(&ended);
    assert_eq!(
        (&summary["seeded"], &summary["failed"]),
        (&2.into(), &2.into())
    );
    let failures = summary["failures"].as_array().unwrap();
    for (failure, store, kind, reason) in [
        (&failures[0], "2", "transient", "checksum"),
        (&failures[1], "nobody", "permanent", "select no bucket"),
    ] {
        assert_eq!(
            (&failure["store_id"], &failure["kind"]),
            (&store.into(), &kind.into())
        );
        let message = failure["message"].as_str().unwrap();
        assert!(message.contains(reason), "{message}");
    }
    let after = snapshots(&program, false).await;
    let live = |listed: &[Listed], store: &str| {
        let live = listed
            .iter()
            .find(|l| l.manifest.store_id.as_str() == store);
        live.map(|l| l.manifest.job_id)
    };
    assert_eq!(live(&after, "2"), live(&before, "2"), "the older one stays");
    assert_eq!(live(&after, "nobody"), None);
    for store in ["1", "3"] {
        assert_ne!(
            live(&after, store),
            live(&before, store),
            "a newer one took over"
        );
    }
    assert_nothing_is_left(&program).await;

    // The same for people.
    let ended = program
        .run(&["local", "--full", "--stores", "stores.csv"])
        .await;
    assert_eq!(ended.code, Some(1), "{ended}");
    for (store, reason) in [("2", "checksum"), ("nobody", "select no bucket")] {
        let start = format!("failed: {store} (sync");
        let line = ended.error.lines().find(|line| line.starts_with(&start));
        assert!(line.is_some_and(|line| line.contains(reason)), "{ended}");
    }
}

/// What a round waits for before it ends the process.
#[derive(Debug)]
enum Moment {
    /// This time after the start.
    After(Duration),
    /// This many operations were sent.
    Operations(u64),
    /// This many objects are in place.
    Objects(usize),
}

impl Moment {
    /// Waits for it, or for the end of the process if that is first.
    async fn wait(&self, service: &PowerSync, program: &Program, process: &mut Process) {
        let started = Instant::now();
        while process.is_running() {
            let reached = match self {
                Self::After(time) => started.elapsed() >= *time,
                Self::Operations(count) => service.metrics().total.operations >= *count,
                Self::Objects(count) => files_below(&objects(program)).len() >= *count,
            };
            if reached {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Moments all over a run, the same ones in each run of the tests.
struct Moments {
    dice: Dice,
    round: u64,
    whole_run: Duration,
    operations_of_a_run: u64,
}

impl Moments {
    /// Measures a run that nobody disturbs.
    async fn measure(service: &PowerSync, program: &Program) -> Self {
        let started = Instant::now();
        let ended = program.run(&FULL).await;
        assert_eq!(ended.code, Some(0), "{ended}");
        Self {
            dice: Dice(7),
            round: 0,
            whole_run: started.elapsed(),
            operations_of_a_run: service.metrics().total.operations,
        }
    }

    /// A moment of the run that starts now, with these snapshots in place.
    fn next(&mut self, service: &PowerSync, snapshots: &[Listed]) -> Moment {
        self.round += 1;
        let dice = &mut self.dice;
        match self.round % 3 {
            0 => Moment::After(self.whole_run.mul_f64(dice.below(1000) as f64 / 1000.0)),
            1 => {
                let further = 1 + dice.below(self.operations_of_a_run);
                Moment::Operations(service.metrics().total.operations + further)
            }
            // A file and a manifest each, and up to those of the run's last store.
            _ => Moment::Objects(2 * snapshots.len() + 1 + dice.below(13) as usize),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_moment_leaves_only_true_snapshots_and_the_next_run_cleans_up() {
    let (service, program) = service_with(&["1", "2", "3", "4", "5", "6"], 150).await;
    service.add_generated_store("large", 3_000, 1);
    list(&program, &["1", "2", "3", "large", "4", "5", "6"]);
    let mut moments = Moments::measure(&service, &program).await;
    let mut listed = assert_catalog_is_true(&program).await;

    let (mut killed, mut in_flight) = (0, 0);
    for _ in 0..21 {
        let moment = moments.next(&service, &listed);
        let mut process = program.start(&FULL);
        moment.wait(&service, &program, &mut process).await;
        killed += u32::from(process.kill().await);
        in_flight += u32::from(count(&program, IN_FLIGHT) > 0);
        listed = assert_catalog_is_true(&program).await;
    }
    assert!(
        killed >= 14 && in_flight >= 7,
        "{killed} rounds of 21 were killed, {in_flight} at work"
    );

    let ended = program.run(&FULL).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    assert_eq!(summary(&ended)["seeded"], 7);
    assert_nothing_is_left(&program).await;
    for Listed { manifest, .. } in snapshots(&program, false).await {
        let store = manifest.store_id.as_str();
        assert_rows(&service, &file_of(&program, &manifest), store);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_at_any_moment_abandons_what_is_in_flight_and_leaves_nothing_half_done() {
    let (service, program) = service_with(&["1", "2", "3", "4", "5", "6"], 150).await;
    // Large enough that its file takes a while to be moved to its place.
    service.add_generated_store("large", 3_000, 1);
    list(&program, &["1", "2", "3", "large", "4", "5", "6"]);
    let mut moments = Moments::measure(&service, &program).await;
    let mut listed = assert_catalog_is_true(&program).await;

    let mut interrupted = 0;
    for round in 0..12 {
        let moment = moments.next(&service, &listed);
        let mut process = program.start(&FULL);
        // Before this it does not listen for signals, and a signal is a kill.
        let lock = program.path(DATA).join("catalog.db.lock");
        process.until("it has its data", |_| is_locked(&lock)).await;
        moment.wait(&service, &program, &mut process).await;
        if process.is_running() {
            process.signal(if round % 2 == 0 { "INT" } else { "TERM" });
        }
        let ended = process.end().await;
        if ended.code != Some(0) {
            assert_eq!(ended.code, Some(130), "{moment:?}: {ended}");
            interrupted += 1;
        }
        assert_nothing_is_left(&program).await;
        listed = snapshots(&program, true).await;
    }
    assert!(
        interrupted >= 6,
        "{interrupted} rounds of 12 were interrupted"
    );
    let ended = program.run(&FULL).await;
    assert_eq!(ended.code, Some(0), "{ended}");
}

fn is_locked(file: &Path) -> bool {
    let Ok(file) = std::fs::File::open(file) else {
        return false;
    };
    matches!(file.try_lock(), Err(std::fs::TryLockError::WouldBlock))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_run_is_abandoned_and_the_next_one_starts_anew() {
    let (service, program) = service_with(&["1", "2", "3", "4", "5"], 100).await;
    assert_eq!(program.run(&FULL).await.code, Some(0));
    let completed = "SELECT count(*) FROM jobs WHERE state = 'completed'";
    let abandoned = "SELECT count(*) FROM jobs WHERE state = 'abandoned'";
    for signal in ["INT", "TERM"] {
        // Its stream stands still: its job is in flight for certain.
        let stall = Fault::StallAfter { bytes: 1_000 };
        service.faults().push_for("2", stall);
        let before = [completed, abandoned].map(|sql| count(&program, sql));
        let mut process = program.start(&FULL);
        let others = |_: &Process| count(&program, completed) == before[0] + 4;
        process.until("the others are seeded", others).await;
        process.signal(signal);
        let ended = process.end().await;
        assert_eq!(ended.code, Some(130), "{ended}");
        assert!(ended.error.contains("stopping"), "{ended}");
        assert_eq!(count(&program, abandoned), before[1] + 1);
        assert_nothing_is_left(&program).await;
        let status = program.run(&["status", "--json"]).await;
        let status: Value = serde_json::from_str(&status.output).unwrap();
        assert_eq!(status["runs"][0]["state"], "abandoned");

        let ended = program.run(&FULL).await;
        assert_eq!(ended.code, Some(0), "{ended}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once() {
    let (service, program) = service_with(&["1", "2"], 100).await;
    service.set_ready(false);
    let mut process = program.start(&LOCAL);
    service.wait_for(|metrics| metrics.total.requests > 0).await;
    // Whoever stops cleanly writes to the catalog, and cannot while somebody else does.
    let catalog = catalog(&program);
    catalog.busy_timeout(Duration::from_secs(5)).unwrap();
    catalog.execute_batch("BEGIN IMMEDIATE").unwrap();
    process.signal("INT");
    let heard = |process: &Process| process.error().contains("stopping");
    process.until("the first signal is heard", heard).await;
    assert!(process.is_running());
    process.signal("TERM");
    let ended = process.end().await;
    assert_eq!(ended.code, Some(130), "{ended}");
    catalog.execute_batch("ROLLBACK").unwrap();
    assert_eq!(count(&program, IN_FLIGHT), 2, "it did not stop cleanly");

    service.set_ready(true);
    assert_eq!(program.run(&LOCAL).await.code, Some(0));
    assert_nothing_is_left(&program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_same_data_is_refused_and_disturbs_nobody() {
    let (service, mut program) = service_with(&["1", "2", "3", "4", "5"], 100).await;
    // As many as the first one needs until the second one is gone.
    program.set("WORKER__MAX_ATTEMPTS", "10000");
    service.set_ready(false);
    let first = program.start(&LOCAL);
    service.wait_for(|metrics| metrics.total.requests > 0).await;

    let second = program.run(&LOCAL).await;
    assert_eq!(second.code, Some(1), "{second}");
    assert!(
        second.error.contains("another `seedbed local`") && second.error.contains("catalog.db"),
        "{second}"
    );
    assert_eq!(second.output, "");
    // Reading is allowed.
    let status = program.run(&["status"]).await;
    assert!(
        status.code == Some(0) && status.output.contains("running"),
        "{status}"
    );

    service.set_ready(true);
    let first = first.end().await;
    assert_eq!(first.code, Some(0), "{first}");
    assert_eq!(summary(&first)["seeded"], 5);
    assert_nothing_is_left(&program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn serving_seeds_again_and_again_until_it_is_told_to_stop() {
    let (service, program) = service_with(&["1", "2", "3"], 100).await;
    let arguments = [&LOCAL[..], &["--serve", "--interval", "1s"]].concat();
    let mut process = program.start(&arguments);
    let runs = |process: &Process| process.output().matches(r#""type":"summary""#).count();
    process
        .until("the first run ends", |process| runs(process) == 1)
        .await;
    service.put("products", r#"{"id":"new","store_id":"2","name":"new"}"#);
    process
        .until("the second run ends", |process| runs(process) == 2)
        .await;
    process.signal("TERM");
    let ended = process.end().await;
    assert_eq!(ended.code, Some(0), "{ended}");
    assert_nothing_is_left(&program).await;

    let listed = snapshots(&program, true).await;
    for store in ["1", "2", "3"] {
        let of_store = listed
            .iter()
            .filter(|l| l.manifest.store_id.as_str() == store);
        // Sorted: the newest first.
        let of_store: Vec<_> = of_store.collect();
        let states: Vec<_> = of_store
            .iter()
            .map(|listed| listed.state.as_str())
            .collect();
        // Of a store that has not changed, the first one is as good as new.
        let expected: &[&str] = match store {
            "2" => &["live", "superseded"],
            _ => &["live"],
        };
        assert_eq!(states, expected);
        assert_rows(&service, &file_of(&program, &of_store[0].manifest), store);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_stores_cost_no_memory_in_proportion() {
    const STORES: u32 = 100_000;
    let (_service, program) = service_with(&[], 0).await;
    // 30 MB of claims.
    let padding = "x".repeat(250);
    let mut stores = String::new();
    for store in 0..STORES {
        writeln!(
            stores,
            r#"{{"store_id":"store-{store}","region":"{padding}"}}"#
        )
        .unwrap();
    }
    // Found at the very end, so that nothing is seeded.
    stores.push_str("{\"store_id\":\"store-0\"}\n");
    program.write("stores.ndjson", stores);

    let mut process = program.start(&["local", "--stores", "stores.ndjson"]);
    let mut peak = 0;
    while process.is_running() {
        peak = peak.max(process.peak_memory().unwrap_or_default());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let ended = process.end().await;
    assert_eq!(ended.code, Some(2), "{ended}");
    assert!(
        ended
            .error
            .contains("\"store-0\" is listed twice, at 1 and at 100001"),
        "{ended}"
    );
    assert!((1..100 * 1024).contains(&peak), "{peak} KiB");
    assert_eq!(count(&program, "SELECT count(*) FROM jobs"), 0);
}

/// The data of `program` on a file system of its own.
fn data_on_tmpfs(program: &mut Program, options: &str) -> Option<Tmpfs> {
    let disk = Tmpfs::mount(options)?;
    let below = |name: &str| disk.path().join(name).display().to_string();
    program.set("CATALOG__URL", format!("sqlite:{}", below("catalog.db")));
    program.set("SNAPSHOTS__URL", format!("file:{}", below("snapshots")));
    program.set("WORKER__DIRECTORY", below("work"));
    Some(disk)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_disk_is_named() {
    let (_service, mut program) = service_with(&["1"], 100).await;
    let Some(disk) = data_on_tmpfs(&mut program, "size=20m") else {
        return;
    };
    for seeded_before in [false, true] {
        if seeded_before {
            disk.remount("rw");
            let ended = program.run(&LOCAL).await;
            assert_eq!(ended.code, Some(0), "{ended}");
        }
        disk.remount("ro");
        let ended = program.run(&LOCAL).await;
        assert!(matches!(ended.code, Some(1 | 2)), "{ended}");
        let path = disk.path().display().to_string();
        assert!(
            ended.error.contains("\"type\":\"error\"") && ended.error.contains(&path),
            "{ended}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_named_and_a_run_with_room_again_succeeds() {
    let (_service, mut program) = service_with(&["1", "2"], 3_000).await;
    let Some(disk) = data_on_tmpfs(&mut program, "size=20m") else {
        return;
    };
    let path = disk.path().display().to_string();
    let filler = disk.path().join("filler");
    // No room for anything; for the catalog and the list, but not for a store.
    for (free, named) in [(0, path.as_str()), (1_500_000, "worker.directory is full")] {
        std::fs::write(&filler, vec![0; 20 * 1024 * 1024 - free]).unwrap();
        let ended = program.run(&LOCAL).await;
        assert_eq!(ended.code, Some(1), "{free}: {ended}");
        assert!(ended.error.contains(named), "{free}: {ended}");
        std::fs::remove_file(&filler).unwrap();
    }
    let ended = program.run(&LOCAL).await;
    assert_eq!(ended.code, Some(0), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_apps_schema_shapes_the_snapshots_and_verify_knows_it() {
    let (_service, mut program) = service_with(&["1"], 20).await;
    let schema = serde_json::json!({ "tables": [], "raw_tables": [{
        "name": "products",
        "ddl": "CREATE TABLE app_products (id TEXT PRIMARY KEY, name TEXT)",
        "table_name": "app_products",
        "put": { "sql": "INSERT OR REPLACE INTO app_products (id, name) VALUES (?, ?)", "params": ["Id", { "Column": "name" }] },
        "delete": { "sql": "DELETE FROM app_products WHERE id = ?", "params": ["Id"] },
    }] });
    program.write("schema.json", schema.to_string());
    program.set("SCHEMA__FILE", "schema.json");
    let ended = program.run(&LOCAL).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    let listed = snapshots(&program, false).await;
    let snapshot = Connection::open(file_of(&program, &listed[0].manifest)).unwrap();
    let rows = "SELECT count(*) FROM app_products WHERE name IS NOT NULL";
    let rows: i64 = snapshot.query_row(rows, [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 20);
    let ended = program.run(&["verify", "1"]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
}
