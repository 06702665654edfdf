//! The contract of the client packages: `tests/clients` drives each package through the same cases, over HTTP, against the
//! same faulty server.

use serde_json::json;
use testkit::machine::{Tmpfs, node};

use super::support::{Seeded, run};

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
async fn a_connector_for_react_native_takes_the_first_sync_from_seedbed() {
    hold_to_the_contract(EXPO, "stream.test.js", 300).await;
}

/// Runs a file of the suite with a package's driver, and a store of this many products.
async fn hold_to_the_contract(driver: &str, file: &str, products: u32) {
    let seeded = Seeded::with_sizes(vec![("store", products)]).await;
    let small = Tmpfs::mount("size=2m");
    let mut set_up = seeded.set_up.clone();
    let mut program = vec![node()];
    program.extend(
        format!("tests/clients/{driver}")
            .split(' ')
            .map(str::to_owned),
    );
    set_up["driver"] = json!(program);
    set_up["smallDisk"] = json!(small.as_ref().map(Tmpfs::path));
    let file = format!("tests/clients/{file}");
    let node = [
        &*node(),
        "--test-timeout=60000",
        "--test-reporter=spec",
        &*file,
    ];
    run(&node, &set_up).await;
}
