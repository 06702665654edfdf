//! A file with few changes is verified where it changed: whatever is wrong there is found, and so is a change elsewhere.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use seedbed_protocol::{digest::Hashed, manifest::Way};
use seedbed_worker::snapshot::{
    Stop,
    before::{BasePages, Before},
    verify::{Expected, FileFacts, SnapshotFile, VerifyError},
};
use testkit::pipeline::{End, same_rows};

use super::{
    super::damage::content,
    support::{Content, Reuse, STORE},
};

/// What a client reads.
const READ: [&str; 2] = [
    "SELECT rowid, * FROM ps_oplog NOT INDEXED ORDER BY rowid",
    "SELECT rowid, * FROM ps_data__products NOT INDEXED ORDER BY rowid",
];

/// SQLite's default, which every snapshot has.
const PAGE: usize = 4096;

/// So many that a few changes leave most pages as they are.
const ROWS: u32 = 3_000;

/// A row that has changed, as the core extension writes it: a newer operation in place of the old one.
const CHANGE: &str = "
    CREATE TEMP TABLE old AS SELECT rowid AS operation, * FROM ps_oplog
        WHERE row_id = (SELECT id FROM ps_data__products ORDER BY id LIMIT 1 OFFSET 700);
    DELETE FROM ps_oplog WHERE rowid = (SELECT operation FROM old);
    INSERT INTO ps_oplog (bucket, op_id, row_type, row_id, key, data, hash)
        SELECT bucket, 900000, row_type, row_id, key, json_set(data, '$.name', 'new'), 12345 FROM old;
    UPDATE ps_buckets SET last_op = 900000, last_applied_op = 900000,
        add_checksum = (add_checksum + (SELECT hash FROM old)) & 0xffffffff,
        op_checksum = (op_checksum - (SELECT hash FROM old) + 12345) & 0xffffffff
        WHERE id = (SELECT bucket FROM old);";

const ROW: &str = "
    DELETE FROM ps_data__products WHERE id = (SELECT row_id FROM old);
    INSERT INTO ps_data__products (id, data) SELECT row_id, data FROM ps_oplog WHERE op_id = 900000;";

/// A base, and a file that was made of it.
struct Changed {
    file: PathBuf,
    before: Before,
}

impl Changed {
    /// Does with a copy of `base` what a job does with its base.
    fn by(base: &Path, directory: &Path, script: &str) -> Self {
        let file = directory.join("changed.sqlite");
        std::fs::copy(base, &file).unwrap();
        let pages = BasePages::read(&file, &Stop::default()).unwrap();
        let connection = Connection::open(&file).unwrap();
        for (pragma, value) in [("journal_mode", "wal"), ("secure_delete", "on")] {
            connection.pragma_update(None, pragma, value).unwrap();
        }
        connection
            .pragma_update(None, "wal_autocheckpoint", 0)
            .unwrap();
        connection.execute_batch(script).unwrap();
        let before = pages.before(&file).unwrap().expect("few pages change");
        connection
            .pragma_update(None, "journal_mode", "delete")
            .unwrap();
        connection.close().unwrap();
        Self { file, before }
    }

    fn verify(&self) -> Result<(FileFacts, Hashed), VerifyError> {
        let file = SnapshotFile::open(&self.file)?;
        file.verify_changed(&self.file, &self.before, &Expected::default())
    }
}

async fn base() -> Reuse {
    Reuse::start_with(ROWS, |_| {}).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_few_changes_has_the_same_facts_as_when_all_of_it_is_verified() {
    let reuse = base().await;
    let directory = tempfile::tempdir().unwrap();
    let long = format!("UPDATE ps_kv SET value = '{}'", "long ".repeat(5_000));
    let many = "CREATE TEMP TABLE n AS SELECT rowid AS r FROM ps_data__products LIMIT 0;";
    for more in ["", &long, many] {
        let script = format!("{CHANGE}{ROW}{more}");
        let changed = Changed::by(&reuse.first_file(), directory.path(), &script);
        let (facts, hashed) = changed.verify().unwrap();
        let whole = SnapshotFile::open(&changed.file).unwrap();
        assert_eq!(facts, whole.verify(&Expected::default()).unwrap());
        let bytes = std::fs::read(&changed.file).unwrap();
        assert_eq!(hashed, Hashed::of(&bytes[..]).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_with_a_changed_row_is_found() {
    let reuse = base().await;
    let directory = tempfile::tempdir().unwrap();
    let other = "(SELECT max(id) FROM ps_data__products)";
    let faults = [
        // The row itself: stale, gone, too much, of another type, another one.
        String::new(),
        "DELETE FROM ps_data__products WHERE id = (SELECT row_id FROM old)".to_owned(),
        format!("{ROW} INSERT INTO ps_data__products VALUES ('a new one', '{{}}')"),
        format!("{ROW} DELETE FROM ps_data__products WHERE id = {other}"),
        format!("{ROW} UPDATE ps_data__products SET data = '{{}}' WHERE id = {other}"),
        format!(
            "{ROW} UPDATE ps_data__products SET data = CAST(data AS BLOB) WHERE id = (SELECT row_id FROM old)"
        ),
        // Its operation: lost, too much, counted wrong, of a row without a table.
        format!("{ROW} DELETE FROM ps_oplog WHERE op_id = 900000"),
        format!(
            "{ROW} INSERT INTO ps_oplog SELECT bucket, 900001, row_type, 'x', 'x', '{{}}', 1 FROM old"
        ),
        format!("{ROW} UPDATE ps_oplog SET hash = 1 WHERE op_id = 900000"),
        format!("{ROW} UPDATE ps_oplog SET row_type = 'unknown' WHERE op_id = 900000"),
        format!("{ROW} UPDATE ps_buckets SET last_op = last_op + 1"),
        format!("{ROW} UPDATE ps_buckets SET op_checksum = op_checksum + 1"),
        // An operation of another row.
        format!("{ROW} DELETE FROM ps_oplog WHERE row_id = {other}"),
        // What a client leaves.
        format!("{ROW} INSERT INTO ps_kv VALUES ('client_id', 'x')"),
        format!("{ROW} INSERT INTO ps_crud (data) VALUES ('{{}}')"),
        format!("{ROW} INSERT INTO ps_untyped VALUES ('t', 'x', '{{}}')"),
    ];
    for fault in faults {
        let script = format!("{CHANGE}{fault}");
        let changed = Changed::by(&reuse.first_file(), directory.path(), &script);
        assert!(changed.verify().is_err(), "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_without_a_changed_row_is_found() {
    let reuse = base().await;
    let directory = tempfile::tempdir().unwrap();
    for index in ["ps_oplog_row", "ps_oplog_key", "ps_oplog_opid"] {
        let reader = Connection::open(reuse.first_file()).unwrap();
        let (root, sql): (i64, String) = reader
            .query_row(
                "SELECT rootpage, sql FROM sqlite_master WHERE name = ?1",
                [index],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap();
        // SQLite does not know of the index while the rows change.
        let script = format!(
            "PRAGMA writable_schema = on;
             DELETE FROM sqlite_master WHERE name = '{index}';
             PRAGMA writable_schema = reset;
             {CHANGE}{ROW}
             PRAGMA writable_schema = on;
             INSERT INTO sqlite_master VALUES ('index', '{index}', 'ps_oplog', {root}, '{sql}');
             PRAGMA writable_schema = reset;"
        );
        let changed = Changed::by(&reuse.first_file(), directory.path(), &script);
        let error = changed.verify().unwrap_err().to_string();
        assert!(error.contains(index), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_is_found_in_changed_pages_and_in_all_others() {
    let reuse = base().await;
    let directory = tempfile::tempdir().unwrap();
    let script = format!("{CHANGE}{ROW}");
    let changed = Changed::by(&reuse.first_file(), directory.path(), &script);
    changed.verify().unwrap();
    let whole = content(&changed.file, &READ).unwrap();
    let bytes = std::fs::read(&changed.file).unwrap();
    let base = std::fs::read(reuse.first_file()).unwrap();
    let is_same = |page: usize| {
        base.get(page * PAGE..(page + 1) * PAGE) == bytes.get(page * PAGE..(page + 1) * PAGE)
    };
    let pages = 1..bytes.len() / PAGE;
    let (same, written): (Vec<_>, Vec<_>) = pages.partition(|page| is_same(*page));
    assert!(written.len() >= 5 && same.len() > 100, "{written:?}");

    for page in same.iter().step_by(same.len() / 20) {
        let mut damaged = bytes.clone();
        damaged[page * PAGE + page % PAGE] ^= 4;
        std::fs::write(&changed.file, &damaged).unwrap();
        let error = changed.verify().unwrap_err();
        assert!(matches!(error, VerifyError::Integrity(_)), "{error}");
    }
    let mut found = 0;
    for page in &written {
        for at in (0..PAGE).step_by(389) {
            let mut damaged = bytes.clone();
            damaged[page * PAGE + at] ^= 1 << (at % 8);
            std::fs::write(&changed.file, &damaged).unwrap();
            match changed.verify() {
                Err(_) => found += 1,
                Ok(_) => assert!(
                    content(&changed.file, &READ).is_ok_and(|content| content == whole),
                    "page {page}, byte {at}"
                ),
            }
        }
    }
    assert!(found > written.len(), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_nothing_refers_to_is_found() {
    let reuse = base().await;
    let directory = tempfile::tempdir().unwrap();
    // A table that is forgotten leaves its pages.
    let script = format!(
        "CREATE TABLE ps_other (filler); INSERT INTO ps_other VALUES (zeroblob(20000));
         PRAGMA writable_schema = on;
         DELETE FROM sqlite_master WHERE name = 'ps_other';
         PRAGMA writable_schema = reset;
         {CHANGE}{ROW}"
    );
    let changed = Changed::by(&reuse.first_file(), directory.path(), &script);
    let error = changed.verify().unwrap_err();
    assert!(matches!(error, VerifyError::Integrity(_)), "{error}");
    // One that is dropped leaves free ones.
    let script = format!(
        "CREATE TABLE ps_other (filler); INSERT INTO ps_other VALUES (zeroblob(20000));
         DROP TABLE ps_other; {CHANGE}{ROW}"
    );
    let changed = Changed::by(&reuse.first_file(), directory.path(), &script);
    changed.verify().unwrap();
    let bytes = std::fs::read(&changed.file).unwrap();
    for byte in [35, 39] {
        let mut damaged = bytes.clone();
        damaged[byte] ^= 1;
        std::fs::write(&changed.file, damaged).unwrap();
        assert!(changed.verify().is_err(), "byte {byte}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_snapshot_after_the_other_is_what_a_full_download_makes() {
    let mut reuse = base().await;
    let mut base = reuse.first.clone();
    for round in 0..8 {
        reuse.change_rows(1 + round);
        let End::Made(made) = reuse.job_from(&base).await else {
            panic!("rows have changed")
        };
        assert_eq!(made.way(), Way::Base);
        same_rows(&reuse.service, STORE, &reuse.pipeline.file(&made));
        let found = Content::of(&reuse.pipeline.file(&made));
        assert_eq!(found, reuse.scratch().await, "round {round}");
        let whole = SnapshotFile::open(&reuse.pipeline.file(&made)).unwrap();
        let expected = Expected {
            checkpoint: Some(&made.checkpoint),
            raw_tables: &[],
        };
        assert_eq!(whole.verify(&expected).unwrap().tables, made.tables);
        let bytes = std::fs::read(reuse.pipeline.file(&made)).unwrap();
        let stored = &made.renditions[0];
        let hashed = Hashed::of(&bytes[..]).unwrap();
        assert_eq!(
            (&stored.sha256, stored.bytes),
            (&hashed.sha256, hashed.bytes)
        );
        base = *made;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_of_changes_that_is_abandoned_reads_no_further_page() {
    let reuse = base().await;
    let directory = tempfile::tempdir().unwrap();
    let changed = Changed::by(
        &reuse.first_file(),
        directory.path(),
        &format!("{CHANGE}{ROW}"),
    );
    let file = SnapshotFile::open(&changed.file).unwrap();
    drop(file.abandon_on_drop());
    let error = file.verify_changed(&changed.file, &changed.before, &Expected::default());
    let error = error.unwrap_err();
    assert!(matches!(error, VerifyError::Abandoned), "{error}");

    let stop = Stop::default();
    drop(stop.on_drop());
    BasePages::read(&changed.file, &stop).unwrap_err();
    changed.before.compare(&changed.file, &stop).unwrap_err();
}
