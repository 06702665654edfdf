//! `seedbed plan`: from the catalog, and from numbers.

use serde_json::Value;
use testkit::{powersync::PowerSync, program::Program};

const ROWS: u32 = 200;

async fn plan(program: &Program, arguments: &str) -> Value {
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let planned = program.run(&arguments).await;
    assert_eq!(planned.code, Some(0), "{planned}");
    planned.objects().remove(0)
}

fn number(plan: &Value, path: &str) -> f64 {
    plan.pointer(path).and_then(Value::as_f64).unwrap()
}

fn is(plan: &Value, path: &str, expected: f64) {
    let found = number(plan, path);
    assert!((found - expected).abs() < 1e-6, "{path}: {plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_reads_stores_rows_and_changes_from_the_catalog() {
    let service = PowerSync::builder().start().await.unwrap();
    let program = Program::new(&service);
    for store in ["a", "b", "c", "d"] {
        service.add_generated_store(store, ROWS, 1);
    }
    service.add_generated_store("large", 10 * ROWS, 1);
    program.write("stores.csv", "store_id\na\nb\nc\nd\nlarge\n");
    let sweep = ["local", "--json", "--stores", "stores.csv"];
    let first = program.run(&sweep).await.objects().pop().unwrap();
    let product = service.rows("b").next().unwrap();
    let mut row: Value = serde_json::from_str(&product.json).unwrap();
    row["id"] = product.id.into();
    row["name"] = "renamed".into();
    service.put("products", row);
    let second = program.run(&sweep).await.objects().pop().unwrap();
    assert_eq!(second["unchanged"], 4);

    let planned = plan(&program, "plan --json --every 12h").await;
    is(&planned, "/fleet/stores", 5.0);
    is(&planned, "/fleet/rows", first["rows"].as_f64().unwrap());
    assert!(number(&planned, "/fleet/largest") >= f64::from(10 * ROWS));
    is(&planned, "/fleet/changed_stores", 0.2);
    // One row, at most twice: the comparison may have been under way already when it was ended.
    let changed = number(&planned, "/fleet/changed_rows") * f64::from(ROWS);
    assert!((0.5..=2.0).contains(&changed), "{planned}");
    is(&planned, "/every", 43_200.0);
    // What is said overrides what is known.
    let all = plan(&program, "plan --json --changed-stores 1").await;
    is(&all, "/usual/snapshots", 5.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_from_numbers_needs_no_catalog_and_names_what_it_rests_on() {
    let service = PowerSync::builder().start().await.unwrap();
    let program = Program::new(&service);
    let numbers =
        "plan --stores 3000 --rows 20000 --largest-store 500000 --within 20m --changed-stores 50%";
    let planned = plan(&program, &format!("{numbers} --json")).await;
    assert_eq!(planned["type"], "plan");
    is(&planned, "/first/rows", 60e6);
    is(&planned, "/usual/snapshots", 1_500.0);
    assert!(number(&planned, "/first/service_processes") >= 2.0);
    assert!(number(&planned, "/usual/worker_cpu") < number(&planned, "/first/worker_cpu"));
    let parts = ["service", "workers", "storage", "requests", "downloads"];
    let parts = parts.map(|part| number(&planned, &format!("/money/{part}")));
    is(&planned, "/money/total", parts.iter().sum());
    assert!(planned["assumptions"].as_array().unwrap().len() > 10);

    // A price is what an amount is multiplied with, and changes nothing else.
    let dearer = plan(&program, &format!("{numbers} --json --gib-month 0.046")).await;
    is(&dearer, "/money/storage", 2.0 * parts[2]);
    assert_eq!(dearer["usual"], planned["usual"]);

    let numbers: Vec<&str> = numbers.split(' ').collect();
    let table = program.run(&numbers).await.output;
    for part in [
        "60,000,000 rows",
        "FIRST SWEEP",
        "together",
        "This rests on",
    ] {
        assert!(table.contains(part), "{table}");
    }
    // The largest numbers that are taken give numbers, too.
    let largest = "plan --stores 10000000 --rows 100000000 --largest-store 1000000000 --row-bytes 1000000 \
                   --first-launches 1000000000 --changed-stores 1 --changed-rows 1 --within 1m";
    let largest: Vec<&str> = largest.split_whitespace().collect();
    let table = program.run(&largest).await;
    assert_eq!(table.code, Some(0), "{table}");
    let saturated = ["inf", "NaN", "18,446,744", "16.00 EiB", "584"];
    for nonsense in saturated {
        assert!(!table.output.contains(nonsense), "{nonsense}: {table}");
    }
    for (arguments, code, message) in [
        ("plan --stores 3", 3, "there is no catalog"),
        ("plan --changed-rows 120%", 2, "percentage"),
        ("plan --within 0s", 2, "longer than 0 s"),
        ("plan --core-hour=-1", 2, "price"),
        ("plan --core-hour 1e9", 2, "at most 1,000,000"),
        ("plan --stores 0 --rows 1", 2, "from 1 to 10,000,000"),
        ("plan --stores 10000001 --rows 1", 2, "from 1 to 10,000,000"),
        (
            "plan --stores 1 --rows 99999999999999999999",
            2,
            "from 0 to 100,000,000",
        ),
        (
            "plan --stores 1 --rows 1 --row-bytes 1000001",
            2,
            "from 1 to 1,000,000",
        ),
        ("plan --stores 1 --rows 1 --within 400d", 2, "at most 366d"),
    ] {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let refused = program.run(&arguments).await;
        assert_eq!(refused.code, Some(code), "{refused}");
        assert!(refused.error.contains(message), "{refused}");
    }
}
