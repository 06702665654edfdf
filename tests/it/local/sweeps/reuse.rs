//! Sweep after sweep with `seedbed local`: what is downloaded again, and what the program says about it.

use rusqlite::Connection;
use serde_json::{Value, json};
use testkit::{
    powersync::{Fault, PowerSync},
    program::{Ended, Program},
};

const ROWS: u32 = 200;

/// A sweep in which every store is seeded; its summary.
async fn sweep(program: &Program, arguments: &[&str]) -> Value {
    let ended = program
        .run(&[&["local", "--json"], arguments].concat())
        .await;
    assert_eq!(ended.code, Some(0), "{ended}");
    ended.objects().pop().expect("a summary")
}

async fn status(program: &Program) -> Value {
    let ended = program.run(&["status", "--json"]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    ended.objects().remove(0)
}

/// Which ways the jobs of the last sweep went.
async fn ways(program: &Program) -> Value {
    status(program).await["ways"].take()
}

fn rename_a_row(service: &PowerSync, store: &str) {
    let product = service.rows(store).next().expect("the store has rows");
    let mut row: Value = serde_json::from_str(&product.json).expect("a row is JSON");
    row["id"] = product.id.into();
    row["name"] = "renamed".into();
    service.put("products", row);
}

fn objects(program: &Program) -> usize {
    let snapshots = program.path("seedbed-data/snapshots");
    let stores = std::fs::read_dir(snapshots).unwrap();
    let files = stores.map(|store| std::fs::read_dir(store.unwrap().path()).unwrap().count());
    files.sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_downloads_what_has_changed_and_tells_which_way_each_job_went() {
    let service = PowerSync::builder().start().await.unwrap();
    let stores: Vec<String> = (1..=6).map(|store| format!("store-{store}")).collect();
    for store in &stores {
        service.add_generated_store(store, ROWS, 1);
    }
    let mut program = Program::new(&service);
    program.write("stores.csv", format!("store_id\n{}\n", stores.join("\n")));
    let list = ["--stores", "stores.csv"];

    let first = sweep(&program, &list).await;
    assert_eq!(
        (&first["seeded"], &first["unchanged"]),
        (&json!(6), &json!(0))
    );
    assert_eq!(
        ways(&program).await,
        json!([{ "way": "full", "why": "first", "jobs": 6 }])
    );

    let (files, operations) = (objects(&program), service.metrics().total.operations);
    let second = sweep(&program, &list).await;
    assert_eq!(
        (&second["seeded"], &second["unchanged"]),
        (&json!(6), &json!(6))
    );
    // Its rows are there, although none was downloaded.
    assert!(first["rows"].as_u64() >= Some(u64::from(ROWS) * 6));
    let size = |sweep: &Value| (sweep["rows"].clone(), sweep["bytes"].clone());
    assert_eq!(size(&second), size(&first));
    assert_eq!(objects(&program), files);
    assert_eq!(service.metrics().total.operations, operations);

    rename_a_row(&service, "store-2");
    rename_a_row(&service, "store-5");
    let third = sweep(&program, &list).await;
    let counted = ["seeded", "unchanged", "from_base"].map(|name| third[name].clone());
    assert_eq!(counted, [json!(6), json!(4), json!(2)]);
    // A row of each, at most twice: the comparison may have been under way already when it was ended.
    let more = service.metrics().total.operations - operations;
    assert!((2..=4).contains(&more), "{more}");
    let expected = json!([
        { "way": "unchanged", "why": null, "jobs": 4 },
        { "way": "base", "why": null, "jobs": 2 },
    ]);
    assert_eq!(ways(&program).await, expected);
    let shown = program.run(&["status"]).await;
    assert!(
        shown
            .output
            .contains("jobs of the newest run: 4 unchanged, 2 base"),
        "{shown}"
    );
    let jobs = program.run(&["status", "--jobs", "--json"]).await;
    let from_base: Vec<Value> = jobs
        .objects()
        .into_iter()
        .filter(|job| job["way"] == "base")
        .map(|mut job| job["store_id"].take())
        .collect();
    assert_eq!(from_base, ["store-2", "store-5"]);
    let table = program.run(&["status", "--jobs"]).await.output;
    let line = |store: &str| table.lines().find(|line| line.contains(store)).unwrap();
    assert!(line("store-2").contains(" base "), "{table}");
    assert!(line("store-3").contains(" unchanged "), "{table}");
    let verified = program.run(&["verify", "--sample", "6"]).await;
    assert_eq!(verified.code, Some(0), "{verified}");

    for (setting, arguments, why) in [
        (None, &["--full"][..], "asked"),
        (Some(("SYNC__FULL_EVERY", "1ms")), &[], "due"),
        (Some(("SYNC__REUSE", "false")), &[], "off"),
    ] {
        if let Some((name, value)) = setting {
            program.set(name, value);
        }
        sweep(&program, &[&list, arguments].concat()).await;
        let expected = json!([{ "way": "full", "why": why, "jobs": 6 }]);
        assert_eq!(ways(&program).await, expected);
    }
}

/// Changes the source.
fn execute(program: &Program, sql: &str) {
    let source = Connection::open(program.path("source.db")).unwrap();
    source.execute_batch(sql).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_that_the_source_knows_to_be_unchanged_get_no_job() {
    let service = PowerSync::builder().start().await.unwrap();
    for store in ["a", "b", "c"] {
        service.add_generated_store(store, ROWS, 1);
    }
    let mut program = Program::new(&service);
    let source = program.path("source.db");
    program.set("SOURCE__URL", format!("sqlite:{}", source.display()));
    program.set(
        "SOURCE__QUERY",
        "SELECT id AS store_id FROM stores WHERE changed_at > :since ORDER BY id",
    );
    execute(
        &program,
        "CREATE TABLE stores (id TEXT, changed_at TEXT);
         INSERT INTO stores SELECT value, '2020-01-01 00:00:00' FROM json_each('[\"a\",\"b\",\"c\"]')",
    );
    let stores = async |arguments: &[&str]| sweep(&program, arguments).await["stores"].clone();
    assert_eq!(stores(&[]).await, 3, "nothing was ever listed");

    let nothing = program.run(&["local", "--json"]).await;
    assert_eq!(
        (nothing.code, nothing.output.as_str()),
        (Some(0), ""),
        "{nothing}"
    );
    execute(
        &program,
        "UPDATE stores SET changed_at = CURRENT_TIMESTAMP WHERE id = 'b'",
    );
    rename_a_row(&service, "b");
    assert_eq!(stores(&[]).await, 1);
    assert_eq!(
        ways(&program).await,
        json!([{ "way": "base", "why": null, "jobs": 1 }])
    );
    assert_eq!(stores(&["--all"]).await, 3);

    // A store that failed is tried again, although the source does not name it any more.
    service.faults().always_for(
        "b",
        Fault::Status {
            status: 400,
            retry_after: None,
        },
    );
    let failed: Ended = program.run(&["local", "--json"]).await;
    assert_eq!(failed.code, Some(1), "{failed}");
    service.faults().clear();
    execute(
        &program,
        "UPDATE stores SET changed_at = '2020-01-01 00:00:00'",
    );
    assert_eq!(stores(&[]).await, 1);
    assert_eq!(
        ways(&program).await,
        json!([{ "way": "unchanged", "why": null, "jobs": 1 }])
    );

    // What is gone shows when all stores are asked for.
    execute(&program, "DELETE FROM stores WHERE id = 'c'");
    sweep(&program, &["--all"]).await;
    assert_eq!(status(&program).await["freshness"]["never"], 0);
    let left = program.run(&["snapshots", "--json"]).await;
    assert_eq!(left.objects().len(), 3, "{left}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_begins_with_new_stores_and_then_with_the_largest() {
    let service = PowerSync::builder().start().await.unwrap();
    let mut program = Program::new(&service);
    program.set("WORKER__SLOTS", "1");
    let list = |stores: &[&str]| {
        program.write("stores.csv", format!("store_id\n{}\n", stores.join("\n")));
    };
    for (store, rows) in [("small", 20), ("large", 4_000), ("middle", 1_000)] {
        service.add_generated_store(store, rows, 1);
    }
    list(&["small", "large", "middle"]);
    let first = sweep(&program, &["--stores", "stores.csv"]).await;

    service.add_generated_store("new", 20, 1);
    list(&["small", "large", "middle", "new"]);
    let second = sweep(&program, &["--stores", "stores.csv", "--full"]).await;
    assert!(second["rows"].as_u64() > first["rows"].as_u64());
    let catalog = Connection::open(program.path("seedbed-data/catalog.db")).unwrap();
    let order = "SELECT group_concat(store_id, ' ') FROM ( \
        SELECT store_id FROM jobs WHERE run_id = ?1 ORDER BY started_at, finished_at)";
    let run_id = second["run_id"].as_str().unwrap();
    let began: String = catalog
        .query_row(order, [run_id], |row| row.get(0))
        .unwrap();
    assert_eq!(began, "new large middle small");
}
