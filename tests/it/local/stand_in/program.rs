//! The stand-in as a program, as the demo starts it.

use serde_json::Value;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

#[tokio::test]
async fn the_program_says_where_it_listens_lists_its_stores_and_ends_on_sigterm() {
    let stores =
        std::env::temp_dir().join(format!("stand-in-stores-{}.ndjson", std::process::id()));
    let mut program = Command::new(testkit::program::stand_in())
        .args(["--demo", "--store-rows", "extra=7", "--write-stores"])
        .arg(&stores)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the program starts");
    let mut output = BufReader::new(program.stdout.take().expect("its output")).lines();
    let ready = output
        .next_line()
        .await
        .expect("readable output")
        .expect("a line");
    let ready: Value = serde_json::from_str(&ready).expect("a JSON line");
    let endpoint = ready["endpoint"].as_str().expect("an endpoint");
    assert!(endpoint.starts_with("http://127.0.0.1:"));
    let alive = reqwest::get(format!("{endpoint}/probes/liveness"))
        .await
        .expect("an answer");
    assert_eq!(alive.status(), 200);

    let listed = std::fs::read_to_string(&stores).expect("the list of stores");
    std::fs::remove_file(&stores).expect("the list can be removed");
    let ids = listed
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a JSON line"));
    assert_eq!(ids.filter(|line| line["store_id"].is_string()).count(), 61);

    let id = program.id().expect("a running program").to_string();
    let sent = Command::new("kill")
        .args(["-TERM", &id])
        .status()
        .await
        .expect("kill runs");
    assert!(sent.success());
    assert!(program.wait().await.expect("it ends").success());
}
