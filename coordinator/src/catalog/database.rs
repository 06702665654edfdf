//! The database itself: how it is opened, and pieces of SQL.

pub(super) mod open;
pub(super) mod sql;
