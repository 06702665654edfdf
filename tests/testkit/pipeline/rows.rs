//! The rows of a snapshot against those of the service.

use std::path::Path;

use rusqlite::Connection;

use seedbed_stand_in::PowerSync;

/// Compares the products in a snapshot file with those that the service has for a store.
///
/// # Panics
/// When they differ, or the file is not a snapshot.
pub fn same_rows(service: &PowerSync, store: &str, file: &Path) {
    let mut expected: Vec<(String, String)> = service
        .rows(store)
        .filter(|row| &*row.table == "products")
        .map(|row| (row.id, row.json))
        .collect();
    expected.sort();
    let rows = products(file).expect("the file is a snapshot");
    assert_eq!(rows.len(), expected.len(), "products of {store}");
    assert!(rows == expected, "the rows of {store} differ");
}

fn products(file: &Path) -> rusqlite::Result<Vec<(String, String)>> {
    let connection = Connection::open(file)?;
    let mut rows = connection.prepare("SELECT id, data FROM ps_data__products ORDER BY id")?;
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}
