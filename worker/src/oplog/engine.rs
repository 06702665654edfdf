//! The engine: operations go in, a database comes out ([`Engine`]).
//!
//! - In: the lines of a sync in their order, with the operations of data lines if they were decoded; onto nothing, or onto a
//!   snapshot.
//! - Out: the database as the core extension would have made it, onto nothing dense and in order.
//! - A kill leaves nothing that counts: the file is private, and of no use before the complete checkpoint.
//!
//! Onto nothing, the first checkpoint is loaded in bulk, several times as fast as operation by operation ([`Loader`]). On top of
//! what is there, a snapshot, a template or that checkpoint, operations are added ([`Adder`]). In all that is not plain, the
//! core extension writes.
//!
//! # Onto nothing
//!
//! On an empty database there is nothing to look up. So rows are written without SQLite, page by page, as they come: an operation
//! to `ps_oplog`, and its row to `ps_data__*` under the same row id ([`pages`]). What the indexes need is sorted meanwhile
//! ([`sorter`]), and tells at the end what is superseded, and which row is the newest of those that several buckets have. Each
//! index is then written once, in its order. SQLite and the core extension get the file in between, at lines other than data.
//!
//! ```text
//! data line ─▶ operations ─▶ pages of ps_oplog and ps_data__*
//!                   └─▶ sorter ─┐
//! checkpoint_complete ──────────┴─▶ superseded rows are taken out ─▶ pages of indexes ─▶ ps_untyped ─▶ core extension
//! ```
//!
//! The core extension applies the checkpoint. It finds no operation that its rows do not have yet, but those of raw tables.
//!
//! # On top of what is there
//!
//! ```text
//! data line ─▶ operations ─▶ ps_oplog_key: superseded? ─▶ ps_oplog, ps_buckets, ps_updated_rows
//! checkpoint_complete ─▶ the rows that have changed ─▶ ps_data__*, ps_untyped ─▶ core extension
//! ```
//!
//! An operation takes the place of the one that it supersedes, and a row that of its older version, so that most indexes stay as
//! they are and no holes are left. The core extension deletes both and appends, which moves each key to another row. After each
//! line, its tables are what it would have made of it, but for the order of `ps_oplog`. So it can take over at any line, it
//! removes the buckets that a target lacks, and it writes the rows of raw tables. If more operations are new than were there, the
//! two indexes whose keys arrive in no order are built again at the end, and keys are found in memory until then.
//!
//! # The core extension
//!
//! At a partial checkpoint only the checksums are compared: its rows are not read before all are there.
//!
//! The core extension stays the reference. It gets everything from the first line on that is not plain, after all
//! that was written has been brought into the form that it would have made itself ([`Own::give_up`]). Not plain are
//! an operation without a row's type and id, without data or out of the range of op ids, checksums that do not match; onto
//! nothing, a CLEAR of a bucket that has rows, and a bucket that vanishes while it is downloaded; on top, an operation that is
//! older than what was applied.
//!
//! [`Adder`]: adder::Adder
//! [`Loader`]: loader::Loader
//! [`Own::give_up`]: own::Own::give_up

mod adder;
mod core;
mod database;
mod later;
mod loader;
mod options;
mod own;
mod pages;
mod sorter;
mod sums;

pub(super) use database::{Engine, Finished};
pub use options::{Applied, SyncOptions, Written};
