//! SQLite reads what was written here.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;

/// A database with the empty tables `app` and `other`, and the place of the first one's trees.
struct Fixture {
    directory: TempDir,
    table: u32,
    keys: u32,
}

impl Fixture {
    fn new(page_bytes: u32) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let connection = Connection::open(directory.path().join("app.sqlite")).unwrap();
        connection
            .pragma_update(None, "page_size", page_bytes)
            .unwrap();
        connection
            .execute_batch(
                "CREATE TABLE app (id TEXT PRIMARY KEY NOT NULL, data TEXT);
                 CREATE TABLE other (n INTEGER)",
            )
            .unwrap();
        let root = |name: &str| {
            let root = "SELECT rootpage FROM sqlite_master WHERE name = ?1";
            connection
                .query_row(root, [name], |row| row.get(0))
                .unwrap()
        };
        Self {
            table: root("app"),
            keys: root("sqlite_autoindex_app_1"),
            directory,
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("app.sqlite")
    }

    /// Writes the rows, removes some of them, and writes the index of what is left.
    fn write(&self, rows: &[(i64, String, String)], is_removed: impl Fn(i64) -> bool) {
        let mut file = PageFile::open(&self.path()).unwrap().unwrap();
        let mut table = Table::new(self.table, file.page_bytes());
        let mut written = Vec::new();
        for (row, id, data) in rows {
            let values = [Value::Text(id.as_bytes()), Value::Text(data.as_bytes())];
            record(&mut written, &values);
            table.append(&mut file, *row, &written).unwrap();
        }
        let mut removed = RowSet::default();
        for (row, ..) in rows {
            if is_removed(*row) {
                removed.insert(*row);
            }
        }
        table.remove(&mut file, &removed).unwrap();
        let mut left: Vec<_> = rows.iter().filter(|(row, ..)| !is_removed(*row)).collect();
        left.sort_by(|(_, a, _), (_, b, _)| a.cmp(b));
        let mut index = Index::new(self.keys, file.page_bytes());
        for (row, id, _) in left {
            let values = [Value::Text(id.as_bytes()), Value::Integer(*row)];
            record(&mut written, &values);
            index.append(&mut file, &written).unwrap();
        }
        index.finish(&mut file).unwrap();
        table.finish(&mut file).unwrap();
        file.release_free().unwrap();
        file.publish().unwrap();
    }

    fn check(&self, rows: &[(i64, String, String)], is_removed: impl Fn(i64) -> bool) {
        let connection = Connection::open(self.path()).unwrap();
        let check: String = connection
            .pragma_query_value(None, "integrity_check", |row| row.get(0))
            .unwrap();
        assert_eq!(check, "ok");
        let mut found = connection
            .prepare("SELECT rowid, id, data FROM app ORDER BY rowid")
            .unwrap();
        let found = found.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        let found: Vec<(i64, String, String)> = found.unwrap().map(Result::unwrap).collect();
        let expected: Vec<_> = rows.iter().filter(|(row, ..)| !is_removed(*row)).collect();
        assert!(found.iter().eq(expected.iter().copied()), "other rows");
        // SQLite goes on from there.
        connection
            .execute_batch(
                "INSERT INTO app SELECT 'new' || id, data FROM app WHERE rowid % 3 = 0;
                 DELETE FROM app WHERE rowid % 2 = 0;
                 INSERT INTO other SELECT rowid FROM app",
            )
            .unwrap();
        let check: String = connection
            .pragma_query_value(None, "integrity_check", |row| row.get(0))
            .unwrap();
        assert_eq!(check, "ok");
    }
}

/// Rows with ids and data of up to so many bytes.
fn rows(random: &mut StdRng, count: usize, id: usize, data: usize) -> Vec<(i64, String, String)> {
    let mut last = 0;
    let mut row = |place: usize| {
        last += random.random_range(1..4);
        let id = format!("{}{place}", "i".repeat(random.random_range(0..=id)),);
        (last, id, "d".repeat(random.random_range(0..=data)))
    };
    (0..count).map(&mut row).collect()
}

#[test]
fn sqlite_reads_trees_of_any_size() {
    let mut random = StdRng::seed_from_u64(5);
    for page_bytes in [512, 4096, 65536] {
        for count in (0..60).chain([200, 1_000, 5_000]) {
            let size = if count > 100 {
                page_bytes as usize
            } else {
                3 * page_bytes as usize
            };
            let longest = random.random_range(0..=size);
            let (id, data) = (longest / 8, longest.min(200_000 / (count + 1)));
            let rows = rows(&mut random, count, id, data);
            let fixture = Fixture::new(page_bytes);
            fixture.write(&rows, |_| false);
            fixture.check(&rows, |_| false);
        }
    }
}

#[test]
fn what_is_removed_leaves_neither_a_hole_nor_a_byte() {
    let mut random = StdRng::seed_from_u64(6);
    for one_in in [1, 2, 7, 100] {
        let all = rows(&mut random, 3_000, 20, 600);
        let secret =
            |row: i64| format!("secret-{row}-").repeat(if row % 50 == 0 { 900 } else { 3 });
        let is_removed = |row: i64| row % one_in == 0;
        let marked = all
            .into_iter()
            .map(|(row, id, data)| match is_removed(row) {
                true => (row, id, secret(row)),
                false => (row, id, data),
            });
        let marked: Vec<_> = marked.collect();
        let fixture = Fixture::new(4096);
        fixture.write(&marked, is_removed);
        let bytes = fs::read(fixture.path()).unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"secret-"));
        let copied = copied_bytes(&fixture.path());
        let free = {
            let connection = Connection::open(fixture.path()).unwrap();
            let free = connection.pragma_query_value(None, "freelist_count", |row| row.get(0));
            free.unwrap_or(0_u64) * 4096
        };
        let used = bytes.len() as u64 - free;
        assert!(
            used <= copied + 4 * 4096,
            "{used} bytes are used, a copy has {copied}"
        );
        fixture.check(&marked, is_removed);
    }
}

fn copied_bytes(path: &Path) -> u64 {
    let copy = path.with_extension("copy");
    let connection = Connection::open(path).unwrap();
    connection
        .execute("VACUUM INTO ?1", [copy.to_str().unwrap()])
        .unwrap();
    fs::metadata(copy).unwrap().len()
}

#[test]
fn the_page_that_sqlite_locks_stays_empty() {
    let fixture = Fixture::new(4096);
    let mut header = fs::read(fixture.path()).unwrap();
    let locked = 0x4000_0000 / 4096 + 1_u32;
    header[28..32].copy_from_slice(&(locked - 2).to_be_bytes());
    fs::write(fixture.path(), header).unwrap();
    let mut file = PageFile::open(&fixture.path()).unwrap().unwrap();
    let page = vec![7; 4096];
    // Three pages in a row, of one payload.
    let first = file.append_overflow(&vec![7; 2 * 4092 + 1]).unwrap();
    let mut read = vec![0; 4096];
    let next = [first, locked + 1, locked + 2].map(|number| {
        file.read(number, &mut read).unwrap();
        u32::from_be_bytes([read[0], read[1], read[2], read[3]])
    });
    assert_eq!((first, next), (locked - 1, [locked + 1, locked + 2, 0]));
    assert_eq!(file.append(&page).unwrap(), locked + 3);
}
