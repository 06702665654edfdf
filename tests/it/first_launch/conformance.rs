//! The contract of the client packages: `tests/clients` drives each package through the same cases, over HTTP, against the
//! same faulty server.

use serde_json::json;
use testkit::machine::{Tmpfs, leave_out, node, tools};

use super::support::{Seeded, dotnet, kotlin, run};

/// The package for Node, as the suite starts it.
const NODE: &str = "drivers/node.js";

#[tokio::test(flavor = "multi_thread")]
async fn a_package_for_node_installs_each_form() {
    hold_to_the_contract(NODE, "forms.test.js", 300).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_for_node_survives_every_fault_of_the_network() {
    hold_to_the_contract(NODE, "faults.test.js", 1000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_for_node_never_replaces_what_only_the_device_has() {
    hold_to_the_contract(NODE, "kept.test.js", 300).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_for_node_goes_on_after_each_kill() {
    hold_to_the_contract(NODE, "kills.test.js", 4000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_for_node_takes_the_first_sync_from_seedbed() {
    hold_to_the_contract(NODE, "stream.test.js", 300).await;
}

/// The same with a key, on SQLite3MultipleCiphers.
const NODE_WITH_A_KEY: &str = "drivers/node.js chacha20";

#[tokio::test(flavor = "multi_thread")]
async fn a_package_for_node_opens_sealed_files() {
    hold_to_the_contract(NODE_WITH_A_KEY, "sealed.test.js", 1000).await;
    let sqlcipher = "drivers/node.js sqlcipher4";
    hold_some_to_the_contract(sqlcipher, "sealed.test.js", 300, "encrypted database").await;
}

/// The package for React Native with its real JavaScript, on stand-ins for what is native on a phone.
const EXPO: &str = "drivers/react-native.js expo";

/// The same without Expo's modules.
const BARE: &str = "drivers/react-native.js bare";

#[tokio::test(flavor = "multi_thread")]
async fn a_package_for_react_native_installs_each_form() {
    hold_to_the_contract(EXPO, "forms.test.js", 300).await;
    hold_to_the_contract(BARE, "forms.test.js", 300).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_for_react_native_finds_the_directory_as_its_sdk_does() {
    hold_to_the_contract(EXPO, "location.test.js", 300).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_for_react_native_survives_every_fault_of_the_network() {
    hold_to_the_contract(EXPO, "faults.test.js", 1000).await;
    hold_to_the_contract(BARE, "faults.test.js", 1000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_for_react_native_never_replaces_what_only_the_device_has() {
    hold_to_the_contract(EXPO, "kept.test.js", 300).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_for_react_native_goes_on_after_each_kill() {
    hold_to_the_contract(EXPO, "kills.test.js", 4000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_for_react_native_opens_sealed_files() {
    hold_to_the_contract("drivers/react-native.js expo key", "sealed.test.js", 300).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_for_react_native_takes_the_first_sync_from_seedbed() {
    hold_to_the_contract(EXPO, "stream.test.js", 300).await;
}

/// The package for Capacitor with its real JavaScript, on stand-ins for Capacitor and its SQLite.
const CAPACITOR: &str = "drivers/capacitor.js";

#[tokio::test(flavor = "multi_thread")]
async fn a_package_for_capacitor_takes_the_first_sync_from_seedbed() {
    hold_to_the_contract(CAPACITOR, "stream.test.js", 300).await;
}

/// The package for the web in Debian's Chromium, on the file system that the SDK takes by itself, in IndexedDB.
const WEB: &str = "drivers/web.js IDBBatchAtomicVFS";

/// The same on one whose databases are plain files.
const WEB_FILES: &str = "drivers/web.js OPFSCoopSyncVFS";

/// The one with a write-ahead log.
const WEB_LOG: &str = "drivers/web.js OPFSWriteAheadVFS";

/// Its connections read the log when a message says so: here each message is late.
const WEB_LATE: &str = "drivers/web.js OPFSWriteAheadVFS late";

/// A browser takes seconds to start: what is the same on all platforms is left to the others.
const IN_BROWSERS: &str = "comes from Seedbed, and|local write|while the stream|in the middle|falls silent is|generation|opens a database|with a key";

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_for_the_web_takes_the_first_sync_from_seedbed() {
    hold_some_to_the_contract(WEB, "stream.test.js", 300, IN_BROWSERS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_for_the_web_installs_each_form() {
    hold_some_to_the_contract(
        WEB_FILES,
        "forms.test.js",
        300,
        "every row|two devices|Clear",
    )
    .await;
    hold_some_to_the_contract(WEB_LOG, "forms.test.js", 300, "gzip").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_for_the_web_lives_with_tabs() {
    hold_to_the_contract(WEB_FILES, "web.test.js", 300).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_for_the_web_never_replaces_what_only_the_device_has() {
    let kept = "draft in a table|write that is|row of a table|soft clear";
    for vfs in [WEB, WEB_FILES, WEB_LOG] {
        hold_some_to_the_contract(vfs, "kept.test.js", 300, kept).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_for_the_web_goes_on_when_its_page_is_closed() {
    for vfs in [WEB, WEB_FILES, WEB_LOG] {
        hold_some_to_the_contract(vfs, "web-kills.test.js", 300, "page is closed").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_for_the_web_goes_on_when_its_browser_is_killed() {
    for vfs in [WEB, WEB_FILES, WEB_LOG] {
        hold_some_to_the_contract(vfs, "web-kills.test.js", 300, "browser is killed").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_for_the_web_waits_for_connections_that_learn_late_of_changes() {
    let some = "a draft.*page is closed|form stream.*page is closed";
    hold_some_to_the_contract(WEB_LATE, "web-kills.test.js", 300, some).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_for_the_web_leaves_no_row_readable_with_a_key() {
    for vfs in [WEB, WEB_FILES] {
        hold_some_to_the_contract(vfs, "web-kills.test.js", 300, "with a key").await;
    }
}

/// The package for Kotlin, on a JVM with the real SDK.
#[tokio::test(flavor = "multi_thread")]
async fn a_package_for_kotlin_installs_each_form() {
    hold_kotlin_to_the_contract("forms.test.js", 300).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_for_kotlin_survives_every_fault_of_the_network() {
    hold_kotlin_to_the_contract("faults.test.js", 1000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_for_kotlin_never_replaces_what_only_the_device_has() {
    hold_kotlin_to_the_contract("kept.test.js", 300).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_for_kotlin_takes_the_first_sync_from_seedbed() {
    hold_kotlin_to_the_contract("stream.test.js", 300).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_for_kotlin_knows_a_database_with_a_key_and_reports() {
    hold_kotlin_to_the_contract("kotlin/kotlin.test.js", 300).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_for_kotlin_goes_on_after_each_kill() {
    hold_kotlin_to_the_contract("kills.test.js", 4000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_for_kotlin_opens_sealed_files() {
    hold_kotlin_with_a_key("chacha20", "sealed.test.js", 1000, ALL).await;
    hold_kotlin_with_a_key("sqlcipher4", "sealed.test.js", 300, "encrypted database").await;
}

/// The same with the driver on a JVM, where there is one.
async fn hold_kotlin_to_the_contract(file: &str, products: u32) {
    let temporary = tempfile::tempdir().expect("a temporary directory can be made");
    if let Some(driver) = kotlin::driver(temporary.path(), None) {
        hold(driver, file, products, ALL).await;
    }
}

/// The same for an app whose database has a key.
async fn hold_kotlin_with_a_key(cipher: &str, file: &str, products: u32, names: &str) {
    let temporary = tempfile::tempdir().expect("a temporary directory can be made");
    if let Some(driver) = kotlin::driver(temporary.path(), Some(cipher)) {
        hold(driver, file, products, names).await;
    }
}

/// The package for .NET on Mono, with a stand-in for the SDK: all but the stream form.
#[tokio::test(flavor = "multi_thread")]
async fn a_package_for_dotnet_installs_each_form_and_replaces_nothing_of_its_own() {
    hold_dotnet_to_the_contract("forms.test.js", 300).await;
    hold_dotnet_to_the_contract("kept.test.js", 300).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_for_dotnet_survives_every_fault_of_the_network() {
    hold_dotnet_to_the_contract("faults.test.js", 1000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_for_dotnet_goes_on_after_each_kill() {
    hold_dotnet_to_the_contract("kills.test.js", 4000).await;
}

async fn hold_dotnet_to_the_contract(file: &str, products: u32) {
    if let Some(driver) = dotnet::driver() {
        hold(driver, file, products, ALL).await;
    }
}

/// The package for Rust and Tauri, whose SDK needs a newer Rust than the rest: `tests/run.sh` builds its driver, where there is one.
#[tokio::test(flavor = "multi_thread")]
async fn a_package_for_tauri_takes_the_first_sync_from_seedbed() {
    let driver = tools("tauri/debug/driver");
    if !driver.exists() {
        return leave_out(
            "the package for Rust and Tauri",
            "install a nightly toolchain of Rust, and run tests/run.sh first_launch",
        );
    }
    let driver = vec![driver.display().to_string()];
    hold(driver, "tauri/tauri.test.js", 300, ALL).await;
}

/// A package whose toolchain only some machines have, by the driver that its folder in `tests/clients` says how to build:
/// `SEEDBED_DRIVER` is the program and its parameters, and `SEEDBED_DRIVER_FILES` the files of tests, if not all.
#[tokio::test(flavor = "multi_thread")]
async fn a_package_with_a_driver_of_its_own_keeps_the_contract() {
    let Ok(driver) = std::env::var("SEEDBED_DRIVER") else {
        return leave_out(
            "the packages for Swift, Flutter and .NET",
            "build a driver as tests/clients/README.md says, and name it in SEEDBED_DRIVER",
        );
    };
    let driver: Vec<String> = driver.split(' ').map(str::to_owned).collect();
    let files = std::env::var("SEEDBED_DRIVER_FILES")
        .unwrap_or_else(|_| "forms,kept,faults,kills,stream".to_owned());
    for file in files.split(',') {
        hold(driver.clone(), &format!("{file}.test.js"), 1000, ALL).await;
    }
}

/// Runs a file of the suite with a package's driver in JavaScript, and a store of this many products.
async fn hold_to_the_contract(driver: &str, file: &str, products: u32) {
    hold_some_to_the_contract(driver, file, products, ALL).await;
}

/// Runs those tests of a file whose names match.
async fn hold_some_to_the_contract(driver: &str, file: &str, products: u32, names: &str) {
    let driver = format!("tests/clients/{driver}");
    let mut program = vec![node()];
    program.extend(driver.split(' ').map(str::to_owned));
    hold(program, file, products, names).await;
}

/// The pattern of every test.
const ALL: &str = ".";

async fn hold(driver: Vec<String>, file: &str, products: u32, names: &str) {
    let seeded = Seeded::with_sizes(vec![("store", products)]).await;
    let small = Tmpfs::mount("size=2m");
    let mut set_up = seeded.set_up.clone();
    set_up["driver"] = json!(driver);
    set_up["smallDisk"] = json!(small.as_ref().map(Tmpfs::path));
    let file = format!("tests/clients/{file}");
    let names = format!("--test-name-pattern={names}");
    let node = [
        &*node(),
        &*names,
        "--test-timeout=60000",
        "--test-reporter=spec",
        &*file,
    ];
    run(&node, &set_up).await;
}
