//! Seals and opens whole files, page by page.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use rand::Rng;
use seedbed_protocol::{manifest::Encoding, snapshots::SnapshotKey};

use super::{
    chacha::Chacha,
    error::SealError,
    format::{Format, PAGE_BYTES, SALT_BYTES, WrongTag},
    reserve,
    sqlcipher::Sqlcipher,
};

/// So many pages are read and written at a time.
const BATCH_PAGES: usize = 64;

/// Writes the database `file` to `target`, sealed with `key` in this encoding; in any other, as it is. Blocks.
///
/// # Errors
/// [`SealError`]; then `target` is incomplete, and may be plain.
pub fn seal(
    encoding: Encoding,
    key: &SnapshotKey,
    file: &Path,
    target: &Path,
) -> Result<(), SealError> {
    let mut salt = [0; SALT_BYTES];
    rand::rng().fill(&mut salt);
    match encoding {
        Encoding::Sqlcipher4 => seal_as(&Sqlcipher::new(key.bytes(), salt), file, target),
        Encoding::Chacha20 => seal_as(&Chacha::new(key.bytes(), salt), file, target),
        Encoding::Identity | Encoding::Gzip | Encoding::Zstd => std::fs::copy(file, target)
            .map(|_| ())
            .map_err(failed(target)),
    }
}

/// Opens the sealed file `file` of this encoding in its place: it becomes a plain database, whose pages keep the reserved
/// bytes. Does nothing with any other encoding. Blocks.
///
/// # Errors
/// [`SealError`]; then a part of `file` is plain.
pub fn unseal(encoding: Encoding, key: &SnapshotKey, file: &Path) -> Result<(), SealError> {
    if !encoding.is_sealed() {
        return Ok(());
    }
    let mut salt = [0; SALT_BYTES];
    File::open(file)
        .and_then(|mut file| file.read_exact(&mut salt))
        .map_err(failed(file))?;
    match encoding {
        Encoding::Chacha20 => open_as(&Chacha::new(key.bytes(), salt), file),
        _ => open_as(&Sqlcipher::new(key.bytes(), salt), file),
    }
}

/// Writes what the sealed file `file` of this encoding holds to `target`, see [`unseal`].
///
/// # Errors
/// As [`unseal`]; then `target` is incomplete.
pub fn open_copy(
    encoding: Encoding,
    key: &SnapshotKey,
    file: &Path,
    target: &Path,
) -> Result<(), SealError> {
    std::fs::copy(file, target).map_err(failed(target))?;
    unseal(encoding, key, target)
}

fn seal_as<F: Format>(format: &F, file: &Path, target: &Path) -> Result<(), SealError> {
    let mut first = [0; PAGE_BYTES];
    File::open(file)
        .and_then(|mut file| file.read_exact(&mut first))
        .map_err(failed(file))?;
    if reserve::reserved_in(&first) == F::RESERVED {
        std::fs::copy(file, target).map_err(failed(target))?;
    } else {
        reserve::copy(file, target, F::RESERVED)?;
    }
    each_page(target, |number, page| {
        format.seal(number, page);
        Ok(())
    })
}

fn open_as<F: Format>(format: &F, file: &Path) -> Result<(), SealError> {
    each_page(file, |number, page| format.open(number, page))
}

/// Changes each page of a file in its place.
fn each_page(
    path: &Path,
    change: impl Fn(u32, &mut [u8; PAGE_BYTES]) -> Result<(), WrongTag>,
) -> Result<(), SealError> {
    let no_pages = || SealError::NoPages {
        path: path.to_owned(),
        expected: PAGE_BYTES,
    };
    let file = OpenOptions::new().read(true).write(true).open(path);
    let mut file = file.map_err(failed(path))?;
    let mut batch = vec![0; BATCH_PAGES * PAGE_BYTES];
    let mut number = 0;
    loop {
        let read = read_full(&mut file, &mut batch).map_err(failed(path))?;
        let (pages, rest) = batch[..read].as_chunks_mut::<PAGE_BYTES>();
        if !rest.is_empty() {
            return Err(no_pages());
        }
        if pages.is_empty() {
            return if number == 0 { Err(no_pages()) } else { Ok(()) };
        }
        for page in pages {
            number += 1;
            change(number, page).map_err(|WrongTag| SealError::Page { page: number })?;
        }
        let back = SeekFrom::Current(-(read as i64));
        file.seek(back)
            .and_then(|_| file.write_all(&batch[..read]))
            .map_err(failed(path))?;
    }
}

/// Reads until the buffer is full or the file ends. Returns the bytes that were read.
fn read_full(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read(&mut buffer[read..])? {
            0 => break,
            more => read += more,
        }
    }
    Ok(read)
}

fn failed(path: &Path) -> impl Fn(io::Error) -> SealError {
    let path = path.to_owned();
    move |source| SealError::File {
        path: path.clone(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use rusqlite::Connection;
    use seedbed_protocol::snapshots::SnapshotKey;

    use super::*;

    const BOTH: [Encoding; 2] = [Encoding::Sqlcipher4, Encoding::Chacha20];

    /// A database with everything that a snapshot may hold, and more pages than one batch.
    fn plain(directory: &Path) -> PathBuf {
        let file = directory.join("plain.sqlite");
        let connection = Connection::open(&file).unwrap();
        let filled = connection.execute_batch(
            "PRAGMA user_version = 7;
             CREATE TABLE rows (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, twice AS (name || name));
             CREATE TABLE keyed (id TEXT PRIMARY KEY, data TEXT) WITHOUT ROWID;
             CREATE INDEX by_name ON rows (name) WHERE name > 'row 5';
             CREATE VIRTUAL TABLE words USING fts5(text);
             CREATE VIEW names AS SELECT name FROM rows;
             CREATE TRIGGER deleted AFTER DELETE ON rows BEGIN DELETE FROM keyed; END;
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000)
             INSERT INTO rows (name) SELECT printf('row %d %s', i, hex(randomblob(100))) FROM n;
             INSERT INTO keyed SELECT name, id FROM rows;
             INSERT INTO words SELECT name FROM rows WHERE id < 100;
             DELETE FROM rows WHERE id = 6000;
             INSERT INTO keyed VALUES ('long', hex(zeroblob(20000)))",
        );
        filled.unwrap();
        file
    }

    fn dump(file: &Path) -> Vec<String> {
        let connection = Connection::open(file).unwrap();
        let mut texts = Vec::new();
        for sql in [
            "SELECT quote(integrity_check) FROM pragma_integrity_check",
            "SELECT quote(user_version) FROM pragma_user_version",
            "SELECT concat_ws(' ', type, name, tbl_name, sql) FROM sqlite_schema ORDER BY type, name",
            "SELECT concat_ws(' ', id, name, twice) FROM rows",
            "SELECT name FROM rows INDEXED BY by_name WHERE name > 'row 5'",
            "SELECT concat_ws(' ', id, data) FROM keyed",
            "SELECT concat_ws(' ', name, seq) FROM sqlite_sequence",
            "SELECT text FROM words WHERE words MATCH 'row'",
            "SELECT name FROM names LIMIT 3",
        ] {
            let mut rows = connection.prepare(sql).unwrap();
            let rows = rows.query_map([], |row| row.get(0)).unwrap();
            texts.extend(rows.map(Result::unwrap));
        }
        texts
    }

    #[test]
    fn what_is_sealed_is_the_same_database_when_it_is_opened() {
        let directory = tempfile::tempdir().unwrap();
        let file = plain(directory.path());
        let key = SnapshotKey::random().unwrap();
        let sealed = directory.path().join("sealed");
        for encoding in BOTH {
            seal(encoding, &key, &file, &sealed).unwrap();
            let bytes = std::fs::read(&sealed).unwrap();
            assert!(!bytes.windows(6).any(|part| part == b"row 77"));
            assert!(!bytes.starts_with(b"SQLite"));
            let mut pages = bytes.chunks(PAGE_BYTES);
            assert!(pages.len() > BATCH_PAGES && pages.all(|page| page.len() == PAGE_BYTES));
            unseal(encoding, &key, &sealed).unwrap();
            assert_eq!(dump(&sealed), dump(&file));
            // What has the room is sealed as it is.
            let again = directory.path().join("again");
            seal(encoding, &key, &sealed, &again).unwrap();
            assert_ne!(std::fs::read(&again).unwrap(), bytes);
            unseal(encoding, &key, &again).unwrap();
            assert_eq!(
                std::fs::read(&again).unwrap(),
                std::fs::read(&sealed).unwrap()
            );
        }
    }

    #[test]
    fn whatever_is_changed_in_a_sealed_file_is_found_and_the_page_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = plain(directory.path());
        let (key, other) = (
            SnapshotKey::random().unwrap(),
            SnapshotKey::random().unwrap(),
        );
        let (sealed, copy) = (
            directory.path().join("sealed"),
            directory.path().join("copy"),
        );
        for encoding in BOTH {
            seal(encoding, &key, &file, &sealed).unwrap();
            let whole = std::fs::read(&sealed).unwrap();
            let refusal = |content: &[u8], key: &SnapshotKey| {
                std::fs::write(&copy, content).unwrap();
                unseal(encoding, key, &copy).unwrap_err().to_string()
            };
            assert!(refusal(&whole, &other).contains("page 1 "));
            let last = whole.len() / PAGE_BYTES;
            // The salt or the text, the nonce, the tag.
            for (page, back) in [
                (1, PAGE_BYTES),
                (1, 70),
                (2, PAGE_BYTES),
                (2, 20),
                (last, 81),
                (last, 1),
            ] {
                let mut changed = whole.clone();
                changed[page * PAGE_BYTES - back] ^= 0x10;
                let refusal = refusal(&changed, &key);
                assert!(
                    refusal.contains(&format!("page {page} ")),
                    "{page} {back}: {refusal}"
                );
            }
            let mut swapped = whole.clone();
            swapped[PAGE_BYTES..3 * PAGE_BYTES].rotate_left(PAGE_BYTES);
            assert!(refusal(&swapped, &key).contains("page 2 "));
            assert!(refusal(&whole[..whole.len() - 1], &key).contains("no database"));
            assert!(refusal(&[], &key).contains("cannot seal or open"));
        }
    }
}
