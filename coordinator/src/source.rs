//! The list of stores: from a file, standard input or a database.

pub mod file;
pub mod record;
pub mod sql;
