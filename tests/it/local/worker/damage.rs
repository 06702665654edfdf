//! A flipped bit anywhere in a snapshot is refused, or changes nothing that anyone reads.

use std::{collections::BTreeMap, path::Path};

use rusqlite::{Connection, OpenFlags, types::Value};
use seedbed_protocol::manifest::Checkpoint;
use seedbed_worker::snapshot::verify::{Expected, FileFacts, SnapshotFile, VerifyError};
use testkit::{pipeline::Pipeline, powersync::PowerSync};

/// SQLite's default, which every snapshot has.
const PAGE: usize = 4096;

/// What a client reads of PowerSync's tables, and what it tells the service.
const CONTENT: [&str; 3] = [
    "SELECT rowid, * FROM ps_oplog NOT INDEXED ORDER BY rowid",
    "SELECT id, name, last_op, last_applied_op, add_checksum, op_checksum FROM ps_buckets NOT INDEXED ORDER BY id",
    "SELECT rowid, * FROM ps_data__products NOT INDEXED ORDER BY rowid",
];

/// Returns what these queries read of a database, and whether SQLite finds it in order.
pub(super) fn content(file: &Path, queries: &[&str]) -> rusqlite::Result<Vec<Vec<Value>>> {
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let check: String = connection.pragma_query_value(None, "integrity_check", |row| row.get(0))?;
    let mut content = vec![vec![Value::Text(check)]];
    for query in queries {
        let mut statement = connection.prepare(query)?;
        let columns = statement.column_count();
        let rows = statement.query_map([], |row| {
            (0..columns).map(|column| row.get(column)).collect()
        })?;
        for row in rows {
            content.push(row?);
        }
    }
    Ok(content)
}

fn verify(file: &Path, checkpoint: &Checkpoint) -> Result<FileFacts, VerifyError> {
    SnapshotFile::open(file)?.verify(&Expected {
        checkpoint: Some(checkpoint),
        raw_tables: &[],
    })
}

/// Verifies by SQLite, which is the judge of what pages may look like.
fn by_sqlite(file: &Path, checkpoint: &Checkpoint) -> Result<FileFacts, VerifyError> {
    SnapshotFile::open(file)?.verify_by_sqlite(&Expected {
        checkpoint: Some(checkpoint),
        raw_tables: &[],
    })
}

/// Pseudo-random numbers, the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % most as u64).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_is_found_or_changes_nothing() {
    const FLIPS: usize = 40;
    let service = PowerSync::builder().start().await.unwrap();
    service.add_generated_store("7", 100, 1);
    let mut pipeline = Pipeline::start(&service).await;
    let manifest = pipeline.seed("7").await.unwrap();
    let file = pipeline.file(&manifest);
    let bytes = std::fs::read(&file).unwrap();
    let whole = content(&file, &CONTENT).unwrap();
    let copy = pipeline.directory.path().join("copy.sqlite");

    // By the kind of page: leaves of tables and of indexes, and what is above them.
    let mut pages: BTreeMap<u8, Vec<usize>> = BTreeMap::new();
    for page in 1..bytes.len() / PAGE {
        pages.entry(bytes[page * PAGE]).or_default().push(page);
    }
    let mut random = Random(7);
    for kind in [0x0d, 0x0a, 0x05] {
        let pages = &pages[&kind];
        let mut refused = 0;
        for _ in 0..FLIPS {
            let page = pages[random.below(pages.len())];
            // A page is filled from its end; some have little in them.
            let within = match random.below(2) {
                0 => random.below(PAGE),
                _ => PAGE - 1 - random.below(64),
            };
            let (byte, bit) = (page * PAGE + within, random.below(8));
            let mut damaged = bytes.clone();
            damaged[byte] ^= 1 << bit;
            std::fs::write(&copy, &damaged).unwrap();
            match verify(&copy, &manifest.checkpoint) {
                Err(_) => refused += 1,
                Ok(_) => assert!(
                    content(&copy, &CONTENT).is_ok_and(|content| content == whole),
                    "byte {byte}, bit {bit}, in a page of kind {kind:#x}"
                ),
            }
            if let Err(error) = by_sqlite(&copy, &manifest.checkpoint) {
                let verified = verify(&copy, &manifest.checkpoint);
                assert!(verified.is_err(), "byte {byte}, bit {bit}: {error}");
            }
        }
        assert!(refused > 0, "no flip in a page of kind {kind:#x}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_page_by_page_is_what_sqlite_reads() {
    let service = PowerSync::builder().start().await.unwrap();
    service.add_generated_store("7", 3_000, 1);
    for (id, length) in [("long", 5_000), ("longer", 300_000)] {
        let row = serde_json::json!({ "id": id, "store_id": "7", "name": "x".repeat(length) });
        service.put("products", row);
    }
    let mut pipeline = Pipeline::start(&service).await;
    let manifest = pipeline.seed("7").await.unwrap();
    let file = pipeline.file(&manifest);
    let facts = verify(&file, &manifest.checkpoint).unwrap();
    assert_eq!(facts, by_sqlite(&file, &manifest.checkpoint).unwrap());
    assert_eq!(facts.tables, manifest.tables);

    // Pages of another size, an index that is not simple, two buckets with one row.
    let copy = pipeline.directory.path().join("copy.sqlite");
    for change in [
        "PRAGMA page_size = 1024; VACUUM",
        "PRAGMA auto_vacuum = full; VACUUM",
        "CREATE INDEX by_name ON ps_data__products (json_extract(data, '$.name') DESC)",
        "INSERT INTO ps_buckets (name, last_op, last_applied_op) VALUES ('other', 1, 1);
         INSERT INTO ps_oplog SELECT last_insert_rowid(), 1, row_type, row_id, key, '{}', 0 FROM ps_oplog LIMIT 1",
    ] {
        std::fs::copy(&file, &copy).unwrap();
        let connection = Connection::open(&copy).unwrap();
        connection.execute_batch(change).unwrap();
        connection.close().unwrap();
        let expected = Expected::default();
        let verify = |by_sqlite| {
            let file = SnapshotFile::open(&copy).unwrap();
            match by_sqlite {
                true => file.verify_by_sqlite(&expected),
                false => file.verify(&expected),
            }
        };
        assert_eq!(verify(false).unwrap(), verify(true).unwrap(), "{change}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_free_pages_that_is_wrong_is_refused() {
    let service = PowerSync::builder().start().await.unwrap();
    service.add_generated_store("7", 100, 1);
    let mut pipeline = Pipeline::start(&service).await;
    let manifest = pipeline.seed("7").await.unwrap();
    let file = pipeline.directory.path().join("free.sqlite");
    std::fs::copy(pipeline.file(&manifest), &file).unwrap();
    let free = "CREATE TABLE ps_other (filler); INSERT INTO ps_other VALUES (zeroblob(100000)); DROP TABLE ps_other";
    let connection = Connection::open(&file).unwrap();
    connection.execute_batch(free).unwrap();
    connection.close().unwrap();
    verify(&file, &manifest.checkpoint).unwrap();

    let bytes = std::fs::read(&file).unwrap();
    // The header names the first page of the list, which names the next one, and says how many pages it lists.
    let first = u32::from_be_bytes(bytes[32..36].try_into().unwrap()) as usize;
    assert!(first > 0);
    let list = (first - 1) * PAGE;
    let copy = pipeline.directory.path().join("copy.sqlite");
    for byte in [39, list + 3, list + 7, list + 11] {
        for bit in [0, 3, 6] {
            let mut damaged = bytes.clone();
            damaged[byte] ^= 1 << bit;
            std::fs::write(&copy, &damaged).unwrap();
            let verified = verify(&copy, &manifest.checkpoint);
            assert!(verified.is_err(), "byte {byte}, bit {bit}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_that_is_abandoned_reads_no_further_page() {
    let service = PowerSync::builder().start().await.unwrap();
    service.add_generated_store("7", 1_000, 1);
    let mut pipeline = Pipeline::start(&service).await;
    let manifest = pipeline.seed("7").await.unwrap();
    let file = SnapshotFile::open(&pipeline.file(&manifest)).unwrap();
    drop(file.abandon_on_drop());
    let error = file.verify(&Expected::default()).unwrap_err();
    assert!(matches!(error, VerifyError::Abandoned), "{error}");
}
