//! What the program says of itself, and `check`.

use std::{collections::HashMap, process::Command};

use axum::{Router, http::header};
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use testkit::{powersync::PowerSync, program::Program, serving::prepared};

#[tokio::test(flavor = "multi_thread")]
async fn every_command_explains_itself_with_an_example() {
    let service = PowerSync::builder().start().await.unwrap();
    let program = Program::new(&service);
    let all = program.run(&["--help"]).await;
    assert_eq!(all.code, Some(0), "{all}");
    let commands = all
        .output
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1);
    let commands = commands.take_while(|line| line.starts_with("  "));
    // Longer descriptions go on in the next line.
    let commands = commands.filter(|line| !line.starts_with("   "));
    let names: Vec<&str> = commands
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(names.len() >= 14, "{names:?}");
    for name in names.into_iter().filter(|name| *name != "help") {
        let help = program.run(&[name, "--help"]).await;
        assert_eq!(help.code, Some(0), "{help}");
        let (_, examples) = help.output.split_once("Example:").unwrap_or_default();
        assert!(examples.contains(&format!("seedbed {name}")), "{help}");
        let wrong = program.run(&[name, "--no-such-option"]).await;
        assert_eq!(wrong.code, Some(2), "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_completes_commands_and_options() {
    let service = PowerSync::builder().start().await.unwrap();
    let program = Program::new(&service);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = program.run(&["completions", shell]).await;
        assert_eq!(script.code, Some(0), "{script}");
        program.write(shell, script.output);
    }
    let completed = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let ask = format!(
            "source ./bash; COMP_WORDS=({line}); COMP_CWORD={}; _seedbed seedbed '{}' ''; echo \"${{COMPREPLY[*]}}\"",
            words.len() - 1,
            words[words.len() - 1],
        );
        let answer = Command::new("bash")
            .args(["-c", &ask])
            .current_dir(program.path("."))
            .output();
        String::from_utf8(answer.unwrap().stdout)
            .unwrap()
            .trim()
            .to_owned()
    };
    assert_eq!(completed("seedbed ver"), "verify");
    assert_eq!(completed("seedbed gc --dry"), "--dry-run");
    assert_eq!(program.run(&["completions", "nosh"]).await.code, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_in_effect_say_where_they_come_from_and_no_secret() {
    let (_service, mut program) = prepared(&["1", "2"], 20).await;
    program.write(
        "seedbed.toml",
        "[worker]\nslots = 7\n[source]\nurl = \"postgres://me:hunter2@db/app\"\n",
    );
    program.set("CATALOG__URL", "postgres://me:hunter2@db/catalog");
    program.unset("WORKER__SLOTS");
    let ended = program.run(&["config", "--json"]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(
        !ended.output.contains("hunter2") && !ended.output.contains("an admin token"),
        "{ended}"
    );
    let settings: HashMap<String, (Value, Value)> = ended
        .output
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| {
            (
                line["setting"].as_str().unwrap().to_owned(),
                (line["value"].clone(), line["origin"].clone()),
            )
        })
        .collect();
    let is = |name: &str, value: Value, origin: &str| {
        assert_eq!(settings[name], (value, json!(origin)), "{name}");
    };
    is("worker.slots", json!(7), "seedbed.toml, line 2");
    is(
        "source.url",
        json!("postgres://db/app"),
        "seedbed.toml, line 4",
    );
    is(
        "catalog.url",
        json!("postgres://db/catalog"),
        "the environment variable SEEDBED_CATALOG__URL",
    );
    is(
        "serve.admin_token",
        json!("(secret)"),
        "the environment variable SEEDBED_SERVE__ADMIN_TOKEN",
    );
    is("worker.job_timeout", json!("1h"), "default");
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_get_errors_as_json() {
    let service = PowerSync::builder().start().await.unwrap();
    let mut program = Program::new(&service);
    program.set("WORKER__SLOTS", "many");
    for command in ["status", "local", "gc", "serve", "retry"] {
        let ended = program.run(&[command, "--json"]).await;
        assert_eq!(ended.code, Some(2), "{ended}");
        let error: Value = serde_json::from_str(&ended.error).unwrap();
        assert_eq!(
            (&error["type"], &error["exit_code"]),
            (&json!("error"), &json!(2))
        );
        assert!(
            error["message"].as_str().unwrap().contains("worker.slots"),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tries_what_downloads_need() {
    let (_service, mut program) = prepared(&["1", "2"], 20).await;
    let parts = program.check(0).await;
    assert!(
        parts["downloads"].1.contains("the configured key"),
        "{parts:?}"
    );
    assert!(parts["clock"].1.contains("PowerSync agrees"), "{parts:?}");
    program.unset("DOWNLOAD__SECRET");
    assert!(
        !program.check(0).await.contains_key("downloads"),
        "nobody downloads"
    );
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    program.set("DOWNLOAD__JWKS_URL", format!("http://{address}/keys.json"));
    let (ok, detail) = program.check(1).await["downloads"].clone();
    assert!(!ok && detail.contains("download.jwks_url"), "{detail}");
    program.unset("DOWNLOAD__JWKS_URL");
    program.set("DOWNLOAD__ANONYMOUS", "true");
    // What no server would start with.
    program.set("DOWNLOAD__URL_LIFETIME", "2d");
    let refused = program.run(&["check", "--stores", "stores.ndjson"]).await;
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(refused.error.contains("retention.min_age"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_finds_a_clock_that_is_wrong() {
    let (_service, mut program) = prepared(&["1", "2"], 20).await;
    for (minutes, code, said) in [
        (-10, 1, "behind this machine"),
        (10, 1, "ahead of this machine"),
    ] {
        let date = (Utc::now() + TimeDelta::minutes(minutes))
            .format("%a, %d %b %Y %H:%M:%S GMT")
            .to_string();
        let router = Router::new().fallback(async move || ([(header::DATE, date)], "{}"));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        program.set(
            "POWERSYNC__ENDPOINT",
            format!("http://{}", listener.local_addr().unwrap()),
        );
        tokio::spawn(async { axum::serve(listener, router).await });
        let (ok, detail) = program.check(code).await["clock"].clone();
        assert!(
            !ok && detail.contains(said) && detail.contains("NTP"),
            "{detail}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_drawn_in_time_and_what_is_no_run_is_refused() {
    let (_service, program) = prepared(&["1", "2", "<b>"], 20).await;
    let none = program.run(&["timeline"]).await;
    assert_eq!(none.code, Some(3), "there is no catalog: {none}");
    let seeded = program.run(&["local", "--stores", "stores.ndjson"]).await;
    assert_eq!(seeded.code, Some(0), "{seeded}");
    let drawn = program.run(&["timeline"]).await;
    assert_eq!(drawn.code, Some(0), "{drawn}");
    assert!(drawn.output.starts_with("<svg ") && drawn.output.ends_with("</svg>\n"));
    assert!(drawn.output.contains("Bounded by"), "{drawn}");
    assert!(drawn.output.contains("&lt;b&gt;") && !drawn.output.contains("<b>"));
    let told = program.run(&["timeline", "--json"]).await.objects();
    assert_eq!(
        (&told[0]["jobs"], &told[0]["started"]),
        (&3.into(), &3.into())
    );
    let sentence = told[0]["bound"]["sentence"].as_str().unwrap();
    assert!(
        drawn.output.contains(&sentence.replace('&', "&amp;")),
        "{sentence}"
    );
    let steps: Vec<_> = (told[0]["steps"].as_array().unwrap().iter())
        .map(|of| of["step"].as_str().unwrap())
        .collect();
    assert!(
        steps.contains(&"sync") && steps.contains(&"upload"),
        "{steps:?}"
    );

    let run = told[0]["run_id"].as_str().unwrap();
    // The beginning of its id is enough.
    let again = program.run(&["timeline", &run[..run.len() - 1]]).await;
    assert_eq!(again.output, drawn.output, "a run that has ended stays so");
    for (id, says) in [
        ("no-id", "is not the id of a run"),
        ("7", "no run has an id that begins with"),
        ("0190a6b2-6c3e-7c5a-9d3f-2f1f5a1c7e11", "0190a6b2"),
    ] {
        let refused = program.run(&["timeline", id]).await;
        assert_eq!(refused.code, Some(2), "{refused}");
        assert!(refused.error.contains(says), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gc_counts_what_is_left_of_forgotten_stores_and_verify_what_is_gone() {
    let (_service, program) = prepared(&["1", "2"], 20).await;
    let seeded = program.run(&["local", "--stores", "stores.ndjson"]).await;
    assert_eq!(seeded.code, Some(0), "{seeded}");
    let forgotten = program.run(&["forget", "1"]).await;
    assert_eq!(forgotten.code, Some(0), "{forgotten}");
    assert!(
        forgotten.output.contains(", 1 snapshot, 1 job, 0 reports"),
        "{forgotten}"
    );
    std::fs::create_dir_all(program.path("seedbed-data/snapshots/1")).unwrap();
    program.write("seedbed-data/snapshots/1/late.sqlite", "12345");
    let collected = program.run(&["gc"]).await;
    assert_eq!(collected.code, Some(0), "{collected}");
    let told = "removed 0 snapshots and 1 unreferenced object, 5 B";
    assert!(collected.output.contains(told), "{collected}");
    assert!(
        !program
            .path("seedbed-data/snapshots/1/late.sqlite")
            .exists()
    );

    // What is gone is bad, and said once.
    for entry in std::fs::read_dir(program.path("seedbed-data/snapshots/2")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "json") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let verified = program.run(&["verify", "--sample", "5"]).await;
    assert_eq!(verified.code, Some(1), "{verified}");
    assert!(verified.error.contains("bad: 2: "), "{verified}");
    assert_eq!(verified.error.matches(" is gone").count(), 1, "{verified}");
}
