//! A SQLite with ciphers, for drivers whose platform's own library is not served here.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use testkit::machine::tools;

/// The library, which is compiled for a quarter of a minute if `tests/run.sh` has not done it.
///
/// # Panics
/// When it does not compile.
pub(super) fn with_ciphers() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = "client/node_modules/better-sqlite3-multiple-ciphers/deps/sqlite3/sqlite3.c";
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/sqlite/build.sh");
        let folder = tools("sqlite");
        let built = Command::new(script)
            .arg(&folder)
            .arg(tools(source))
            .output();
        let built = built.expect("bash runs");
        let errors = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "{errors}");
        folder.join("libsqlite3mc.so")
    })
}
