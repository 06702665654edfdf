//! Whatever a store is called and whatever a service answers: terminal, logs and answers hold no character that moves the
//! cursor, turns text around, hides it, or begins a line of its own.

use seedbed_protocol::text::is_hidden;
use serde_json::Value;
use testkit::{
    powersync::{Fault, PowerSync},
    program::{Ended, Program},
    serving::{LOCAL_SERVE, Serving, prepared},
    wait,
};

/// A right-to-left override and a zero-width space: allowed in ids, and made to be mistaken.
const STORE: &str = "shop\u{202e}nimda\u{200b}";

/// Sets the title of a terminal, clears it, and fakes a line of the log.
const CODE: &str = "PSYNC_\u{1b}]0;owned\u{7}\u{9b}2J\r\nERROR all is lost\u{2028}\u{2066}";

async fn service_and_program() -> (PowerSync, Program) {
    let (service, mut program) = prepared(&["7", STORE], 5).await;
    let refused = Fault::Error {
        status: 400,
        code: CODE,
    };
    service.faults().always_for(STORE, refused);
    program.set("LOG__LEVEL", "debug");
    (service, program)
}

fn assert_plain(what: &str, text: &str) {
    let hidden = text.chars().find(|&c| is_hidden(c) && c != '\n');
    assert_eq!(hidden, None, "{what}: {text:?}");
    let faked = text.lines().any(|line| line.starts_with("ERROR all"));
    assert!(!faked, "{what}: {text}");
}

fn assert_shown(what: &str, ended: &Ended) {
    assert_plain(what, &ended.output);
    assert_plain(what, &ended.error);
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_a_store_nor_a_service_changes_the_terminal_or_fakes_a_line() {
    let (_service, mut program) = service_and_program().await;
    for format in ["pretty", "json"] {
        program.set("LOG__FORMAT", format);
        let seeded = program.run(&["local", "--stores", "stores.ndjson"]).await;
        assert_eq!(seeded.code, Some(1), "{seeded}");
        assert_shown(format, &seeded);
        let all = format!("{}{}", seeded.output, seeded.error);
        assert!(all.contains("all is lost"), "the reason is told: {all}");
    }
    assert!(program.run(&["snapshots"]).await.output.contains('7'));
    for command in [
        &["local", "--stores", "stores.ndjson", "--json"][..],
        &["status"],
        &["status", "--jobs"],
        &["status", "--json"],
        &["status", "--jobs", "--json"],
        &["snapshots", "--all"],
        &["snapshots", "--json"],
        &["verify", STORE],
        &["verify", STORE, "--json"],
        &["verify", CODE],
        &["snapshots", "--store", STORE],
        &["status", CODE],
    ] {
        assert_shown(&command.join(" "), &program.run(command).await);
    }
    let jobs = program.run(&["status", "--jobs", "--json"]).await;
    let named = |job: &Value| job.to_string().contains("nimda");
    let job = jobs
        .objects()
        .into_iter()
        .find(named)
        .expect("it has a job");
    assert!(
        job.to_string().contains(STORE),
        "JSON still means the id itself: {job}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_with_control_characters_is_refused_in_one_line() {
    let (_service, program) = prepared(&["7"], 5).await;
    program.write(
        "bad.ndjson",
        "{\"store_id\": \"a\\u001b[2J\\nERROR all is lost\"}\n",
    );
    let refused = program.run(&["local", "--stores", "bad.ndjson"]).await;
    assert_ne!(refused.code, Some(0), "{refused}");
    assert_shown("an id", &refused);
    let missing = ["local", "--stores", "\u{1b}[2Jmissing\nERROR all is lost"];
    assert_shown("a path", &program.run(&missing).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_the_api_mean_the_same_and_hide_nothing() {
    let (_service, mut program) = service_and_program().await;
    program.set("LOG__FORMAT", "pretty");
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    let run = wait::for_some("the run has ended", async || {
        let runs = serving.admin("/api/runs").await.json();
        let run = runs["runs"][0].clone();
        (run["state"] != "running" && run["runId"].is_string()).then_some(run)
    })
    .await;
    let jobs = format!("/api/runs/{}/jobs", run["runId"].as_str().unwrap());
    for path in [&jobs, "/api/stores", "/api/overview", "/api/stores/x%1b%0A"] {
        let answer = serving.admin(path).await;
        assert_plain(path, std::str::from_utf8(&answer.body).unwrap());
    }
    let answer = serving.admin(&jobs).await.json();
    let all = answer["jobs"].as_array().unwrap();
    let bad = all.iter().find(|job| job["storeId"] == STORE);
    let bad = bad.unwrap_or_else(|| panic!("it is listed under its id: {answer}"));
    assert!(
        bad.to_string().contains("\\u0007"),
        "the reason is whole: {bad}"
    );
    let unknown = serving.database("nobody\u{202e}\u{1b}").await;
    assert_plain("a refusal", std::str::from_utf8(&unknown.body).unwrap());
    assert_plain("the log", &serving.process.error());
}
