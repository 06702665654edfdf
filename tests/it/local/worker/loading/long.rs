//! A history of which little is left.

use rand::{Rng, SeedableRng, rngs::StdRng};
use seedbed_worker::{
    oplog::{Accepted, Applied, OpLog, Schema},
    powersync::{Line, LineFormat},
};
use serde_json::{Value, json};

use super::{
    history::History,
    paths::{compare_within, options},
};

const LINES: u64 = 200;
const OPERATIONS_A_LINE: u64 = 100;

const ROW_BYTES: usize = 1_000;

/// Lines that write and remove the same few rows again and again.
fn lines(seed: u64) -> Vec<Line> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut sum: u32 = 0;
    let mut data = Vec::new();
    for line in 0..LINES {
        let operations = (1..=OPERATIONS_A_LINE).map(|place| {
            let checksum: u32 = random.random();
            sum = sum.wrapping_add(checksum);
            let is_removed = random.random_bool(0.1);
            let kind = ["products", "orders"][random.random_range(0..2)];
            let row = json!({ "text": "x".repeat(random.random_range(0..2 * ROW_BYTES)) });
            json!({
                "op_id": (line * OPERATIONS_A_LINE + place).to_string(),
                "op": if is_removed { "REMOVE" } else { "PUT" },
                "object_type": kind,
                "object_id": random.random_range(0..25).to_string(),
                "checksum": checksum,
                "data": if is_removed { Value::Null } else { json!(row.to_string()) },
            })
        });
        let operations: Vec<_> = operations.collect();
        data.push(json!({ "data": { "bucket": "a", "data": operations } }));
    }
    let last = (LINES * OPERATIONS_A_LINE).to_string();
    let bucket = json!({ "bucket": "a", "checksum": sum, "priority": 3, "count": LINES * OPERATIONS_A_LINE });
    let mut lines = vec![json!({ "checkpoint": { "last_op_id": last, "buckets": [bucket] } })];
    lines.extend(data);
    lines.push(json!({ "checkpoint_complete": { "last_op_id": last } }));
    let line = |line: Value| Line {
        format: LineFormat::Ndjson,
        bytes: line.to_string().into(),
    };
    lines.into_iter().map(line).collect()
}

#[test]
fn a_long_history_makes_the_same_database_on_both_paths() {
    for (seed, memory_kib) in [(1, 1), (2, 300), (3, 64 << 10)] {
        let history = History::of(lines(seed));
        let written = compare_within(&history, memory_kib, "a long history");
        assert!(written.loaded);
    }
}

#[tokio::test]
async fn a_long_history_needs_no_more_room_than_a_few_times_its_rows() {
    let lines = lines(4);
    let sent: usize = lines.iter().map(|line| line.bytes.len()).sum();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sync.sqlite");
    let options = options(&History::of(Vec::new()), Some(900));
    let log = OpLog::create(path.clone(), Schema::Inferred, options);
    let mut log = log.await.unwrap();
    log.request().await.unwrap();
    let mut largest = 0;
    for line in lines {
        if let Accepted::Complete(complete) = log.accept(line).await.unwrap() {
            assert_eq!(log.apply(complete).await.unwrap(), Applied::Yes);
        }
        largest = largest.max(std::fs::metadata(&path).unwrap().len());
    }
    assert!(log.finish().await.unwrap().dense);
    let finished = std::fs::metadata(&path).unwrap().len();
    assert!(
        sent > 20_000_000 && finished < 300_000,
        "{sent}, {finished}"
    );
    // 300 operations of 1 KB, twice, are not worth a look.
    assert!(largest < 2_000_000, "{largest} bytes");
}
