//! The entry point `sqlite3_powersync_init` of the extension, in a library that SQLite can load.

pub use powersync_core::sqlite3_powersync_init;
