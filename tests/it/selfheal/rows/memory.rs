//! The memory of a worker is bounded by its settings, whatever the rows.

use std::time::Duration;

use serde_json::json;
use testkit::program::Program;

use super::huge::{Rows, Service};

/// What a program takes without any row, in MiB: its code, its runtime, SQLite's page caches and the load memory below.
const WITHOUT_ROWS: u64 = 130;

/// How many copies of one line a job holds at most: see "Memory of a worker" in deploy/OPERATIONS.md.
const LINES: u64 = 8;

const LOAD_MEMORY: &str = "16";

/// Seeds one store of `count` rows with one slot; returns the most memory that the program had resident, in MiB.
async fn peak(rows: Rows, format: &str, fast_load: &str) -> u64 {
    let service = Service::start(rows).await;
    let mut program = Program::new(service.access.clone());
    program.set("WORKER__SLOTS", "1");
    program.set("WORKER__LOAD_MEMORY_MIB", LOAD_MEMORY);
    program.set("WORKER__FAST_LOAD", fast_load);
    program.set("POWERSYNC__FORMAT", format);
    program.set("POWERSYNC__COMPRESSION", "none");
    program.write("stores.csv", "store_id\n1\n");
    let mut process = program.start(&["local", "--json", "--stores", "stores.csv"]);
    let mut peak = 0;
    while process.is_running() {
        peak = peak.max(process.peak_memory().unwrap_or_default());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let ended = process.end().await;
    assert_eq!(ended.code, Some(0), "{ended}");
    peak / 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn many_huge_rows_take_no_more_memory_than_a_few() {
    const MIB: u64 = 24;
    // With the quote, JSON escapes every character, so that a row cannot be read where it stands in the line.
    for (format, fast_load, filler) in [
        ("auto", "true", 'x'),
        ("ndjson", "true", '"'),
        ("auto", "false", 'x'),
    ] {
        let rows = Rows {
            count: 10,
            bytes: usize::try_from(MIB).unwrap() << 20,
            filler,
        };
        let peak = peak(rows, format, fast_load).await;
        let most = WITHOUT_ROWS + LINES * MIB;
        eprintln!("{format} {fast_load} {filler}: {peak} MiB, at most {most}");
        assert!(
            peak <= most,
            "{format}, fast_load {fast_load}, {filler}: {peak} MiB, at most {most} are allowed"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_above_the_limit_fails_its_job_at_once_and_names_the_setting() {
    let rows = Rows {
        count: 1,
        bytes: 3 << 20,
        filler: 'x',
    };
    let service = Service::start(rows).await;
    let mut program = Program::new(service.access.clone());
    program.set("POWERSYNC__MAX_LINE_MIB", "2");
    program.write("stores.csv", "store_id\n1\n");
    let ended = program
        .run(&["local", "--json", "--stores", "stores.csv"])
        .await;
    assert_eq!(ended.code, Some(1), "{ended}");
    let failure = &ended.objects().pop().unwrap()["failures"][0];
    let message = failure["message"].as_str().unwrap();
    assert!(message.contains("powersync.max_line_mib"), "{message}");
    assert_eq!(
        (&failure["kind"], &failure["attempts"]),
        (&json!("permanent"), &json!(1)),
        "the next stream would send the same row"
    );
}
