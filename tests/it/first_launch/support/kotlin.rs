//! The driver of the package for Kotlin: built when its sources have changed, where there are a JDK and Maven.

use std::{path::Path, process::Command, sync::OnceLock};

use testkit::machine::{leave_out, tools};

/// The program; `None`, and a line that says so, where it cannot be built. The SDK unpacks its libraries into `temporary`, and a
/// process that is killed leaves them there. With a `cipher` the app's database has a key.
///
/// # Panics
/// When it does not compile.
pub(in super::super) fn driver(temporary: &Path, cipher: Option<&str>) -> Option<Vec<String>> {
    static BUILT: OnceLock<bool> = OnceLock::new();
    if !*BUILT.get_or_init(build) {
        leave_out(
            "the package for Kotlin",
            "install a JDK 17 and Maven (Debian's openjdk-17-jdk-headless and maven), which reaches Maven Central",
        );
        return None;
    }
    let target = tools("kotlin/driver/target");
    let classes = format!("{0}/driver.jar:{0}/lib/*", target.display());
    // Starting counts more here than what a compiler gains later.
    let options = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xmx256m";
    let mut program = vec!["java".to_owned()];
    program.extend(options.split(' ').map(str::to_owned));
    program.extend([
        format!(
            "-XX:SharedArchiveFile={}",
            target.join("driver.jsa").display()
        ),
        // What the JVM says goes to standard output otherwise, where the answers are.
        "-Xlog:disable".into(),
        "-Xlog:all=warning:stderr".into(),
        format!(
            "-Dseedbed.sqlite3mc={}",
            tools("kotlin/libsqlite3mc.so").display()
        ),
        format!("-Djava.io.tmpdir={}", temporary.display()),
    ]);
    program.extend(["-cp".into(), classes, "seedbed.conformance.DriverKt".into()]);
    program.extend(cipher.map(str::to_owned));
    Some(program)
}

fn build() -> bool {
    let there = |program: &str| {
        let version = Command::new(program).arg("-version").output();
        version.is_ok_and(|output| output.status.success())
    };
    if !["java", "javac", "mvn"].into_iter().all(there) {
        return false;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/kotlin/build.sh");
    let sqlite = "client/node_modules/better-sqlite3-multiple-ciphers/deps/sqlite3/sqlite3.c";
    let built = Command::new(script)
        .args([tools("kotlin"), tools(sqlite)])
        .output();
    let built = built.expect("bash runs");
    let said = String::from_utf8_lossy(&built.stdout);
    // Maven Central: a machine that does not reach it has the libraries of before, or none.
    let offline = ["Could not transfer", "Unknown host", "offline mode"];
    if offline.iter().any(|words| said.contains(words)) {
        eprintln!("{said}");
        return false;
    }
    let errors = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{said}{errors}");
    true
}
