//! Rows, stored or generated, and their text.

use crate::data::products::Products;
use crate::hash::{digest, push_uuid, wide_digest};
use std::sync::Arc;

/// One row of a source table, as the client should see it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// The table, `object_type` on the wire.
    pub table: Arc<str>,
    /// The row's id, `object_id` on the wire.
    pub id: String,
    /// The row's columns as JSON text, exactly as it goes over the wire.
    pub json: String,
}

/// A row without its text where the text can be generated: small enough for histories of millions.
#[derive(Debug, Clone)]
pub(crate) enum RowRef {
    /// A row that a test wrote.
    Stored(Arc<Row>),
    /// Row `index` of a set of generated products.
    Generated { set: Arc<Products>, index: u32 },
}

/// The table that generated rows belong to.
pub(crate) const PRODUCTS: &str = "products";

/// Buffers for the text of a generated row, reused from row to row.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    id: String,
    json: String,
}

/// The text of one row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowText<'a> {
    pub(crate) table: &'a str,
    pub(crate) id: &'a str,
    pub(crate) json: &'a str,
}

impl RowRef {
    /// The row's text, from the row itself or generated into `scratch`.
    pub(crate) fn text<'a>(&'a self, scratch: &'a mut Scratch) -> RowText<'a> {
        match self {
            Self::Stored(row) => RowText {
                table: &row.table,
                id: &row.id,
                json: &row.json,
            },
            Self::Generated { set, index } => {
                scratch.json.clear();
                set.write_json(*index, &mut scratch.json);
                scratch.id.clear();
                // The id is the first value of the text: {"id":"…36 characters…"
                scratch.id.push_str(&scratch.json[7..43]);
                RowText {
                    table: PRODUCTS,
                    id: &scratch.id,
                    json: &scratch.json,
                }
            }
        }
    }

    /// The length of the row's text in bytes, or an upper bound of it if the text does not exist yet.
    pub(crate) fn text_len(&self) -> usize {
        match self {
            Self::Stored(row) => row.json.len(),
            Self::Generated { .. } => Products::MAX_TEXT_LEN,
        }
    }

    /// The row, with its own copy of the text.
    pub(crate) fn to_row(&self) -> Row {
        match self {
            Self::Stored(row) => Row::clone(row),
            Self::Generated { .. } => {
                let mut scratch = Scratch::default();
                let text = self.text(&mut scratch);
                Row {
                    table: text.table.into(),
                    id: text.id.to_owned(),
                    json: text.json.to_owned(),
                }
            }
        }
    }

    /// Tells rows apart by table and id.
    pub(crate) fn key(&self) -> u128 {
        match self {
            Self::Stored(row) => row_key(&row.table, &row.id),
            Self::Generated { set, index } => row_key(PRODUCTS, &set.id(*index)),
        }
    }

    /// The checksum of a PUT of this row. It depends on the content alone: a row that is in several buckets has the
    /// same checksum in all of them, as in the recordings.
    pub(crate) fn put_checksum(&self) -> u32 {
        match self {
            Self::Stored(row) => fold(digest(&[
                row.table.as_bytes(),
                row.id.as_bytes(),
                row.json.as_bytes(),
            ])),
            Self::Generated { set, index } => set.checksum(*index),
        }
    }

    /// The checksum of a REMOVE of this row.
    pub(crate) fn remove_checksum(&self) -> u32 {
        fold((self.key() >> 64) as u64)
    }
}

/// Tells rows apart by table and id.
fn row_key(table: &str, id: &str) -> u128 {
    wide_digest(&[table.as_bytes(), id.as_bytes()])
}

/// Appends the subkey of a row: `<uuid of the replicated table>/<uuid of the row>`. Both change when the sync config
/// is deployed again.
pub(crate) fn push_subkey(out: &mut String, deployment: u64, table: &str, id: &str) {
    let deployment = deployment.to_le_bytes();
    push_uuid(out, wide_digest(&[&deployment, table.as_bytes()]));
    out.push('/');
    push_uuid(
        out,
        wide_digest(&[&deployment, table.as_bytes(), id.as_bytes()]),
    );
}

fn fold(digest: u64) -> u32 {
    (digest >> 32) as u32 ^ digest as u32
}
