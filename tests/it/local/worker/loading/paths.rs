//! Runs a history through the engine and through the core extension alone, and compares what they make of it.

use rand::{Rng, RngCore};
use seedbed_protocol::message::StreamSubscription;
use seedbed_worker::oplog::{Accepted, Applied, OpLog, OpLogError, SyncOptions, Written};
use tempfile::TempDir;

use super::{
    dump::dump,
    history::{History, Step},
};

/// What a path makes of a history.
#[derive(Debug, PartialEq)]
struct Outcome {
    /// The result of each checkpoint.
    applied: Vec<Applied>,
    /// Every table; `None` when a line made it fail, which each path says in its own words. Empty if the last checkpoint
    /// was refused: such a database is thrown away, and only the core extension shows a part of it before that.
    database: Option<String>,
}

/// Runs one history on both paths; says how the engine wrote it.
///
/// # Panics
/// When they differ.
pub(super) fn compare(random: &mut dyn RngCore, what: &str) -> Written {
    let history = History::random(random);
    // So little that it sorts in a file, and enough.
    let memory_kib = [1, 4, 16 * 1024][random.random_range(0..3)];
    compare_within(&history, memory_kib, what)
}

/// Runs a history on both paths, the engine within so much memory.
///
/// # Panics
/// When they differ.
pub(super) fn compare_within(history: &History, memory_kib: u32, what: &str) -> Written {
    let directory = tempfile::tempdir().unwrap();
    let (found, written) = run(history, Some(memory_kib), &directory);
    let (expected, by_core) = run(history, None, &directory);
    assert_eq!(by_core, Written::default());
    if expected != found {
        panic!(
            "{what}, {memory_kib} KiB: the paths differ\n{}\nhistory: {history:#?}",
            difference(&expected, &found)
        );
    }
    written
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
) -> (Outcome, Written) {
    let path = directory
        .path()
        .join(format!("{}.sqlite", load_memory_kib.unwrap_or_default()));
    let mut applied = Vec::new();
    let mut written = Written::default();
    let database = async {
        let schema = history.schema(directory);
        let options = || options(history, load_memory_kib);
        let mut log = OpLog::create(path.clone(), schema.clone(), options()).await?;
        for step in &history.steps {
            let line = match step {
                Step::Start => {
                    log.request().await?;
                    continue;
                }
                Step::Resume if applied.last() == Some(&Applied::Yes) => {
                    let synced = log.finish().await?;
                    written |= synced.written;
                    drop(synced);
                    log = OpLog::resume(path.clone(), schema.clone(), options(), false).await?;
                    continue;
                }
                Step::Resume => break,
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
        written |= synced.written;
        let complete = applied.last() == Some(&Applied::Yes);
        let checkpoints = applied.iter().filter(|applied| **applied == Applied::Yes);
        let goes_on = checkpoints.count() > 1;
        let dump = complete.then(|| dump(&synced.connection, goes_on));
        Ok(dump.unwrap_or_default())
    };
    let database: Result<String, OpLogError> = database.await;
    let database = database.ok();
    (Outcome { applied, database }, written)
}

pub(super) fn options(history: &History, load_memory_kib: Option<u32>) -> SyncOptions {
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
