//! The driver of the package for .NET, compiled by Mono, where there is one, with a stand-in for the SDK's own classes.

use std::{path::Path, process::Command, sync::OnceLock};

use testkit::machine::{leave_out, tools};

use super::sqlite::with_ciphers;

/// The program; `None`, and a line that says so, without Mono.
///
/// # Panics
/// When it does not compile.
pub(in super::super) fn driver() -> Option<Vec<String>> {
    static BUILT: OnceLock<bool> = OnceLock::new();
    if !*BUILT.get_or_init(build) {
        leave_out(
            "the package for .NET, on Mono",
            "install Debian's mono-mcs, libmono-cil-dev and libnewtonsoft-json5.0-cil",
        );
        return None;
    }
    let libraries = with_ciphers().parent().expect("it is in a folder");
    let core = tools("client/node_modules/@powersync/node/lib/libpowersync_x64.linux.so");
    let program = tools("dotnet/driver.exe");
    Some(vec![
        "env".to_owned(),
        format!("LD_LIBRARY_PATH={}", libraries.display()),
        format!("POWERSYNC_CORE={}", core.display()),
        "mono".to_owned(),
        program.display().to_string(),
    ])
}

fn build() -> bool {
    /// No Mono.
    const MISSING: i32 = 3;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/dotnet/mono.sh");
    let built = Command::new(script).arg(tools("dotnet")).output();
    let built = built.expect("bash runs");
    let said = String::from_utf8_lossy(&built.stdout);
    let errors = String::from_utf8_lossy(&built.stderr);
    let missing = built.status.code() == Some(MISSING);
    assert!(missing || built.status.success(), "{said}{errors}");
    !missing
}
