//! `seedbed status`: it fits whatever it is shown on, tells reasons and not stores one by one, and follows a run to its end.

use std::{process::Command, time::Duration};

use serde_json::{Value, json};
use testkit::{
    powersync::{Fault, PowerSync},
    program::{Ended, Program, seedbed},
};

const LOCAL: [&str; 3] = ["local", "--stores", "stores.csv"];

/// A service with so many stores, of which those fail, and the list of them.
pub(super) async fn service(stores: u64, failing: &[&str]) -> (PowerSync, Program) {
    let service = PowerSync::builder().start().await.unwrap();
    let program = Program::new(&service);
    let mut list = "store_id\n".to_owned();
    for number in 1..=stores {
        let store = format!("store-{number}");
        service.add_generated_store(&store, 20, number);
        list += &format!("{store}\n");
    }
    program.write("stores.csv", list);
    for store in failing {
        let refused = Fault::Error {
            status: 403,
            code: "PSYNC_S2305",
        };
        service.faults().always_for(*store, refused);
    }
    (service, program)
}

async fn status(program: &Program, arguments: &[&str]) -> Ended {
    let ended = program.run(&[&["status"], arguments].concat()).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    ended
}

/// The lines that are too wide, but for those of a single word behind what introduces it: it is to be copied.
pub(super) fn too_wide(text: &str, width: usize) -> Vec<&str> {
    let is_too_wide = |line: &&str| line.chars().count() > width;
    let has_words = |line: &&str| line.split_whitespace().count() > 2;
    text.lines().filter(is_too_wide).filter(has_words).collect()
}

/// What a command prints on a terminal of this width.
pub(super) fn in_a_terminal(program: &Program, width: usize, arguments: &str) -> String {
    let command = format!(
        "stty columns {width} rows 50; {} {arguments}",
        seedbed().display()
    );
    let in_a_terminal = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .current_dir(program.path("."))
        // Neither this process's width nor its settings.
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .output()
        .expect("Debian's script");
    let shown = String::from_utf8(in_a_terminal.stdout).unwrap();
    shown.replace('\r', "")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_width_has_the_columns_that_matter_most() {
    let (_service, mut program) = service(4, &["store-2", "store-4"]).await;
    assert_eq!(program.run(&LOCAL).await.code, Some(1));
    let run_id = status(&program, &["--json"]).await.objects()[0]["runs"][0]["run_id"]
        .as_str()
        .unwrap()
        .to_owned();
    // A pipe has a width of its own.
    let piped = status(&program, &[]).await.output;
    assert_eq!(too_wide(&piped, 80), [""; 0], "{piped}");
    assert!(
        piped.contains(&run_id[..13]) && !piped.contains(&run_id),
        "{piped}"
    );
    for (width, has, lacks) in [
        (160, &["ROWS/S", run_id.as_str(), "FROM BASE"][..], &[][..]),
        (
            80,
            &[
                "STARTED", "STATE", "STORES", "SEEDED", "FAILED", "TIME", "RUN",
            ],
            &["ROWS/S", "FROM BASE"],
        ),
        (
            60,
            &["STARTED", "STATE", "STORES", "FAILED", "RUN"],
            &["SIZE", "UNCHANGED"],
        ),
        (40, &["STARTED", "STATE", "FAILED"], &["RUN", "SEEDED"]),
    ] {
        program.set_variable("COLUMNS", width.to_string());
        for arguments in [&[][..], &["--failures"], &["--jobs"], &[&run_id[..13]]] {
            let shown = status(&program, arguments).await.output;
            assert_eq!(too_wide(&shown, width), [""; 0], "{shown}");
        }
        let shown = status(&program, &[]).await.output;
        let header = shown.lines().next().unwrap();
        for name in has {
            assert!(shown.contains(name), "{name} at {width}: {shown}");
        }
        for name in lacks {
            assert!(
                !header.split("  ").any(|column| column.trim() == *name),
                "{name} at {width}: {shown}"
            );
        }
    }
    program.set_variable("COLUMNS", "");

    // A terminal says itself how wide it is.
    let shown = in_a_terminal(&program, 60, "status");
    assert!(
        shown.contains("STARTED") && !shown.contains("SIZE"),
        "{shown}"
    );
    assert_eq!(too_wide(&shown, 60), [""; 0], "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_told_by_their_reason_and_a_run_beside_the_one_before() {
    let (service, program) = service(5, &["store-1", "store-2", "store-3"]).await;
    assert_eq!(program.run(&LOCAL).await.code, Some(1));
    let told = status(&program, &["--json"]).await.objects().remove(0);
    assert_eq!(
        (
            &told["comparison"],
            told["failures"].as_array().unwrap().len()
        ),
        (&Value::Null, 3)
    );
    let [reason] = &told["reasons"].as_array().unwrap()[..] else {
        panic!("{told}");
    };
    assert_eq!(
        (&reason["code"], &reason["step"], &reason["stores"]),
        (&json!("PSYNC_S2305"), &json!("sync"), &json!(3))
    );
    let key = reason["key"].as_str().unwrap();
    let shown = status(&program, &[]).await.output;
    for part in [
        "what fails now, by reason:".to_owned(),
        format!("{key}  3 stores, "),
        "  sync: PSYNC_S2305".to_owned(),
        "  such as store-".to_owned(),
        "  trace ".to_owned(),
        "the next `seedbed local` tries them again".to_owned(),
        format!("seedbed quarantine --reason {key}"),
        "snapshots of 5 stores: 2 younger than 1 h, 3 none".to_owned(),
    ] {
        assert!(shown.contains(&part), "{part:?} is not in {shown}");
    }
    assert!(
        !shown.contains("failed: store-1"),
        "only if all are asked for: {shown}"
    );
    assert!(
        status(&program, &["--failures"])
            .await
            .output
            .contains("failed: store-1 (sync")
    );

    service.faults().clear();
    let refused = Fault::Error {
        status: 403,
        code: "PSYNC_S2305",
    };
    service.faults().always_for("store-5", refused);
    assert_eq!(program.run(&LOCAL).await.code, Some(1));
    let shown = status(&program, &[]).await.output;
    let before = told["runs"][0]["run_id"].as_str().unwrap();
    let beside = format!(
        "beside the run before ({}): 1 new failure, 3 healed, 0 slower",
        &before[..13]
    );
    assert!(shown.contains(&beside), "{shown}");
    assert!(shown.contains(&format!("{key}  1 store, ")), "{shown}");
    let told = status(&program, &["--json"]).await.objects().remove(0);
    let newest = told["runs"][0]["run_id"].as_str().unwrap();
    let in_detail = status(&program, &[&newest[..13]]).await.output;
    assert!(
        in_detail.contains(&format!("fail since: store-5 ({key})")),
        "{in_detail}"
    );
    assert!(
        in_detail.contains("work again: store-1, store-2, store-3"),
        "{in_detail}"
    );
    let of_first = status(&program, &[before]).await.output;
    assert!(
        of_first.contains("3 stores, 3 have a later job"),
        "{of_first}"
    );
    assert!(!of_first.contains("tries them again"), "{of_first}");
    assert!(!shown.contains("seedbed retry"), "for clusters: {shown}");

    // One sweep has failed it: no other one has, whatever the quarantine's rule is.
    let ended = program.run(&["quarantine", "--reason", key]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    let told = status(&program, &["--json"]).await.objects().remove(0);
    let held = &told["quarantined"][0];
    let by = held["held"]["by"].as_str().unwrap();
    assert!(held["held"]["at"].is_string(), "{held}");
    let shown = status(&program, &[]).await.output;
    let line = format!("quarantined: store-5 (by {by}, ");
    assert!(shown.contains(&line), "{line:?} is not in {shown}");
    assert!(!shown.contains("in a row"), "{shown}");

    for (arguments, code, reason) in [
        (&["status", "nonsense"][..], 2, "is not the id of a run"),
        (&["status", "0000"], 2, "no run has an id that begins with"),
        (
            &["quarantine", "--reason", "0123456789"],
            2,
            "no store failed for a reason",
        ),
    ] {
        let ended = program.run(arguments).await;
        assert_eq!(ended.code, Some(code), "{ended}");
        assert!(ended.error.contains(reason), "{ended}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_watched_to_its_end_or_until_somebody_leaves() {
    let (service, program) = service(12, &["store-7"]).await;
    let slow = Fault::Delay(Duration::from_millis(300));
    service.faults().with_probability(1.0, slow);
    let mut run = program.start(&LOCAL);
    // There is a catalog, and a run in it.
    let is_running = async || {
        let ended = program.run(&["status", "--json"]).await;
        ended.code == Some(0) && ended.objects()[0]["runs"][0]["state"] == "running"
    };
    testkit::wait::until("the run is listed", is_running).await;
    let mut left = program.start(&["status", "--watch"]);
    let watching = program.start(&["status", "--watch"]);
    let as_json = program.start(&["status", "--watch", "--json"]);
    left.until("it shows the run", |left| {
        left.output().contains("running: ")
    })
    .await;
    left.signal("INT");
    let left = left.end().await;
    assert_eq!(left.code, Some(130), "{left}");
    assert!(left.error.contains("a run continues"), "{left}");
    assert!(run.is_running());
    assert_eq!(run.end().await.code, Some(1));
    let watched = watching.end().await;
    assert_eq!(watched.code, Some(1), "a store failed: {watched}");
    assert!(watched.output.contains(" of 12 stores done"), "{watched}");
    assert!(
        watched.output.contains("STARTED") && watched.output.contains("PSYNC_S2305"),
        "{watched}"
    );
    assert!(!watched.output.contains('\u{1b}'), "a pipe is no terminal");
    let as_json = as_json.end().await;
    let states: Vec<Value> = as_json
        .objects()
        .iter()
        .map(|it| it["runs"][0]["state"].clone())
        .collect();
    assert_eq!(
        (states.first(), states.last()),
        (Some(&json!("running")), Some(&json!("failed")))
    );
    // What has ended is shown once.
    let again = program.run(&["status", "--watch"]).await;
    assert_eq!(again.code, Some(1), "{again}");
    assert_eq!(again.output.matches("STARTED").count(), 1, "{again}");
}
