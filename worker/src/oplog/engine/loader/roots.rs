//! Where the trees of `ps_oplog` begin.

use rusqlite::Connection;

use crate::oplog::sqlite::DatabaseError;

/// The columns of `ps_oplog` in their order, and those of its indexes.
const COLUMNS: &str = "bucket,op_id,row_type,row_id,key,data,hash";
const BY_ROW: &str = "row_type,row_id";
const BY_ID: &str = "bucket,op_id";
const BY_KEY: &str = "bucket,key";

/// The root pages of `ps_oplog` and its indexes.
pub(super) struct Roots {
    pub(super) table: u32,
    pub(super) by_row: u32,
    pub(super) by_id: u32,
    pub(super) by_key: u32,
}

impl Roots {
    /// Returns the roots; `None` if the table has other columns or indexes.
    pub(super) fn of(connection: &Connection) -> Result<Option<Self>, DatabaseError> {
        let mut trees = connection.prepare(
            "SELECT coalesce(
                 (SELECT group_concat(name) FROM pragma_index_info(m.name)),
                 (SELECT group_concat(name) FROM pragma_table_info(m.name))), rootpage
             FROM sqlite_master AS m WHERE tbl_name = 'ps_oplog' AND type IN ('table', 'index')",
        )?;
        let trees = trees.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let trees: Vec<(String, u32)> = trees.collect::<Result<_, _>>()?;
        let root = |columns| {
            let tree = trees.iter().find(|tree| tree.0 == columns);
            tree.map(|tree| tree.1)
        };
        let (4, Some(table), Some(by_row), Some(by_id), Some(by_key)) = (
            trees.len(),
            root(COLUMNS),
            root(BY_ROW),
            root(BY_ID),
            root(BY_KEY),
        ) else {
            return Ok(None);
        };
        Ok(Some(Self {
            table,
            by_row,
            by_id,
            by_key,
        }))
    }
}
