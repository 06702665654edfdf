//! Bulk loading against the core extension: both make the same database of any stream.
//!
//! `SEEDBED_LOAD_HISTORIES` sets how many random histories are run, `SEEDBED_LOAD_SEED` the first one's seed. For many
//! that no run had before:
//!
//! ```sh
//! SEEDBED_LOAD_HISTORIES=100000 SEEDBED_LOAD_SEED=$(date +%s)000000 \
//!     cargo test --release -p seedbed-tests --test it -- random_histories --nocapture
//! ```

mod content;
pub(super) mod dump;
mod history;

use rand::{Rng, SeedableRng, rngs::StdRng};
use rusqlite::Connection;
use seedbed_protocol::message::StreamSubscription;
use seedbed_worker::{
    oplog::{Accepted, Applied, OpLog, OpLogError, SyncOptions},
    settings::WorkerSettings,
};
use tempfile::TempDir;
use testkit::{
    pipeline::{Pipeline, same_rows},
    powersync::PowerSync,
};

use self::{
    dump::dump,
    history::{History, Step},
};

const HISTORIES: u64 = 1_200;
const FIRST_SEED: u64 = 20_261_123;

/// What a path makes of a history.
#[derive(Debug, PartialEq)]
struct Outcome {
    /// The result of each checkpoint.
    applied: Vec<Applied>,
    /// Every table; `None` when a line made it fail, which each path says in its own words. Empty if the last checkpoint
    /// was refused: such a database is thrown away, and only the core extension shows a part of it before that.
    database: Option<String>,
}

fn number(variable: &str, otherwise: u64) -> u64 {
    let value = std::env::var(variable).ok();
    value.map_or(otherwise, |value| value.parse().expect(variable))
}

#[test]
fn random_histories_make_the_same_database_on_both_paths() {
    let (first, count) = (
        number("SEEDBED_LOAD_SEED", FIRST_SEED),
        number("SEEDBED_LOAD_HISTORIES", HISTORIES),
    );
    let half = |offset: u64| {
        std::thread::spawn(move || {
            let seeds = (first..first + count).skip(offset as usize).step_by(2);
            seeds.map(compare).filter(|loaded| *loaded).count() as u64
        })
    };
    let halves = [half(0), half(1)];
    let loaded: u64 = halves.map(|half| half.join().unwrap()).iter().sum();
    println!("{loaded} of {count} histories were loaded in bulk");
    assert!(
        loaded * 2 > count,
        "only {loaded} of {count} histories were loaded in bulk"
    );
}

/// Runs one history on both paths; says whether one of them was the fast one to the end.
fn compare(seed: u64) -> bool {
    let mut random = StdRng::seed_from_u64(seed);
    let history = History::random(&mut random);
    // So little that what is superseded is only found at the end, and enough.
    let memory_kib = [1, 4, 16 * 1024][random.random_range(0..3)];
    let directory = tempfile::tempdir().unwrap();
    let (expected, _) = run(&history, None, &directory);
    let (found, loaded) = run(&history, Some(memory_kib), &directory);
    if expected != found {
        panic!(
            "seed {seed}, {memory_kib} KiB: the paths differ\n{}\nhistory: {history:#?}",
            difference(&expected, &found)
        );
    }
    loaded
}

fn difference(expected: &Outcome, found: &Outcome) -> String {
    let (Some(expected_dump), Some(found_dump)) = (&expected.database, &found.database) else {
        return format!("core: {expected:?}\nload: {found:?}");
    };
    let mut text = format!("core: {:?}\nload: {:?}", expected.applied, found.applied);
    let missing = |of: &str, from: &str| -> Vec<String> {
        let from: std::collections::HashSet<_> = from.lines().collect();
        of.lines()
            .filter(|line| !from.contains(line))
            .map(str::to_owned)
            .collect()
    };
    for line in missing(expected_dump, found_dump) {
        text.push_str(&format!("\ncore only: {line}"));
    }
    for line in missing(found_dump, expected_dump) {
        text.push_str(&format!("\nload only: {line}"));
    }
    text
}

#[tokio::main(flavor = "current_thread")]
async fn run(
    history: &History,
    load_memory_kib: Option<u32>,
    directory: &TempDir,
) -> (Outcome, bool) {
    let path = directory
        .path()
        .join(format!("{}.sqlite", load_memory_kib.unwrap_or_default()));
    let mut applied = Vec::new();
    let mut loaded = false;
    let database = async {
        let schema = history.schema(directory);
        let mut log = OpLog::create(path, schema, options(history, load_memory_kib)).await?;
        for step in &history.steps {
            let line = match step {
                Step::Start => {
                    log.request().await?;
                    continue;
                }
                Step::Line(line) => line,
            };
            match log.accept(line.clone()).await? {
                // Whether a part is visible before the whole does not matter; a refused part does.
                Accepted::PartiallyComplete(refused @ Applied::No(_)) => applied.push(refused),
                Accepted::Complete(complete) => applied.push(log.apply(complete).await?),
                _ => {}
            }
        }
        let synced = log.finish().await?;
        loaded = synced.loaded;
        let complete = applied.last() == Some(&Applied::Yes);
        let dump = complete.then(|| dump(&synced.connection));
        Ok(dump.unwrap_or_default())
    };
    let database: Result<String, OpLogError> = database.await;
    let database = database.ok();
    (Outcome { applied, database }, loaded)
}

fn options(history: &History, load_memory_kib: Option<u32>) -> SyncOptions {
    let subscription = |stream: &String| StreamSubscription {
        stream: stream.clone(),
        parameters: None,
        priority: None,
    };
    SyncOptions {
        parameters: serde_json::Map::new(),
        default_streams: true,
        subscriptions: history.subscriptions.iter().map(subscription).collect(),
        subscription_ttl: 86_400,
        cache_kib: 2 * 1024,
        load_memory_kib,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_makes_the_same_snapshot_with_and_without_it() {
    let service = PowerSync::builder().start().await.unwrap();
    service.add_generated_store("7", 3_000, 1);
    let mut dumps = Vec::new();
    for fast_load in [true, false] {
        let change = |settings: &mut WorkerSettings| settings.worker.fast_load = fast_load;
        let mut pipeline = Pipeline::start_with(&service, change).await;
        let manifest = pipeline.seed("7").await.unwrap();
        let file = pipeline.file(&manifest);
        same_rows(&service, "7", &file);
        let snapshot = Connection::open(&file).unwrap();
        let pages = |pragma| snapshot.pragma_query_value(None, pragma, |row| row.get::<_, u64>(0));
        let (all, unused) = (
            pages("page_count").unwrap(),
            pages("freelist_count").unwrap(),
        );
        dumps.push((dump(&snapshot), all, manifest.checkpoint));
        assert!(unused * 50 <= all, "{unused} of {all} pages are unused");
    }
    let [
        (fast, fast_pages, fast_checkpoint),
        (core, core_pages, core_checkpoint),
    ] = &dumps[..]
    else {
        unreachable!("both were made")
    };
    assert!(fast == core, "the snapshots differ");
    assert_eq!(fast_checkpoint, core_checkpoint);
    // Neither is larger than a copy of it would be, to speak of.
    assert!(
        fast_pages * 50 <= core_pages * 51,
        "{fast_pages} pages instead of {core_pages}"
    );
}
