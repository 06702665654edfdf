//! `/api/sizes` and `/api/costs`: what stores take, what is moved, and what that costs. `/api/freshness`: what was promised.

use testkit::{
    serving::{LOCAL_SERVE, Serving, prepared},
    wait,
};

/// A store whose id a spreadsheet would take for a formula.
const FORMULA: &str = "=1+1";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_and_moved_is_told_with_its_price() {
    let (_service, mut program) = prepared(&["1", FORMULA], 20).await;
    program.set("COST__CURRENCY", "EUR");
    program.set("COST__STORAGE", "1024");
    program.set("COST__TRANSFER", "2048");
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    for store in ["1", FORMULA] {
        serving
            .database_until(store, |answer| answer.status == 200)
            .await;
    }
    let sizes = serving.admin("/api/sizes?days=7").await.json();
    assert_eq!(sizes["totals"]["stores"], 2, "{sizes}");
    assert_eq!(sizes["totals"]["rows"], 40);
    // Each was there for the first time: a store that is new has not grown, and neither have all together.
    assert_eq!(sizes["bytesBefore"], sizes["totals"]["bytes"]);
    assert_eq!(sizes["days"].as_array().unwrap().len(), 8);
    assert_eq!(sizes["days"][7]["bytes"], sizes["totals"]["bytes"]);
    assert_eq!(sizes["days"][0]["bytes"], 0);
    assert_eq!(sizes["largest"].as_array().unwrap().len(), 2);
    assert_eq!(
        sizes["growing"].as_array().unwrap().len(),
        0,
        "both are new"
    );
    let csv = serving.admin("/api/sizes.csv").await;
    assert_eq!(
        csv.header("content-disposition"),
        "attachment; filename=\"store-sizes.csv\""
    );
    let text = String::from_utf8(csv.body).unwrap();
    assert!(text.contains("\n'=1+1,") && text.contains("\n1,"), "{text}");

    let costs = wait::for_some("both downloads are recorded", async || {
        let costs = serving.admin("/api/costs").await.json();
        (costs["handedOut"][0]["downloads"] == 2).then_some(costs)
    });
    let costs = costs.await;
    assert_eq!(
        (&costs["currency"], &costs["storagePrice"]),
        (&"EUR".into(), &1024.0.into())
    );
    // The plain files are the live snapshots; what is stored has compact ones too.
    let handed = costs["handedOut"][0]["bytes"].as_u64().unwrap();
    assert_eq!(handed, sizes["totals"]["bytes"].as_u64().unwrap());
    let stored = costs["storedBytes"].as_u64().unwrap();
    assert!(stored > handed, "{costs}");
    let text = String::from_utf8(serving.admin("/api/costs.csv").await.body).unwrap();
    let row = |what: &str| {
        let line = text.lines().find(|line| line.starts_with(what)).unwrap();
        line.split(',').map(str::to_owned).collect::<Vec<_>>()
    };
    let downloaded = row("downloaded,");
    assert_eq!(
        &downloaded[2..6],
        ["file", "identity", "2", &handed.to_string()]
    );
    // 2048 a GiB are 2 a MiB.
    let cost: f64 = downloaded[6].parse().unwrap();
    let expected = f64::from(u32::try_from(handed).unwrap()) / 1_048_576.0 * 2.0;
    assert!((cost - expected).abs() < 0.000_01, "{cost} {expected}");
    assert_eq!(row("stored a month,")[5], stored.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_prices_only_bytes_are_told_and_a_price_that_is_none_is_refused() {
    let (_service, mut program) = prepared(&["1"], 1).await;
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    let costs = serving.admin("/api/costs").await.json();
    assert!(
        costs["storagePrice"].is_null() && costs["transferPrice"].is_null(),
        "{costs}"
    );
    assert_eq!(serving.get("/api/costs", None).await.status, 401);
    assert_eq!(serving.admin("/api/sizes?days=367").await.status, 400);
    assert!(serving.process.kill().await);
    program.set("COST__STORAGE", "-1");
    let refused = program.run(&LOCAL_SERVE).await;
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(refused.error.contains("cost.storage"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promise_is_told_with_what_came_of_it_and_one_that_cannot_be_kept_is_refused() {
    let (_service, mut program) = prepared(&["1", "2"], 1).await;
    program.set("SERVE__FRESHNESS_AGE", "2h");
    program.set("SERVE__FRESHNESS_OBJECTIVE", "0.9");
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    let fresh = wait::for_some("both stores are fresh", async || {
        let told = serving.admin("/api/freshness").await.json();
        (told["fresh"] == 2).then_some(told)
    });
    let fresh = fresh.await;
    assert_eq!(
        (&fresh["objective"], &fresh["ageSeconds"], &fresh["stores"]),
        (&0.9.into(), &7_200.into(), &2.into())
    );
    assert!(fresh["days"].as_array().unwrap().is_empty() || fresh["share"] == 1.0);
    assert_eq!(serving.get("/api/freshness", None).await.status, 401);

    // As if servers had recorded two hours of yesterday.
    let catalog = rusqlite::Connection::open(program.path("seedbed-data/catalog.db")).unwrap();
    let yesterday = i64::try_from(testkit::serving::now() / 86_400 - 1).unwrap() * 24;
    for (hour, stores) in [(yesterday, 2), (yesterday + 1, 1)] {
        let add = "INSERT INTO freshness (hour, stores, fresh) VALUES (?1, 2, ?2)";
        catalog.execute(add, [hour, stores]).unwrap();
    }
    let told = serving.admin("/api/freshness").await.json();
    assert_eq!(
        (&told["days"][0]["share"], &told["days"][0]["kept"]),
        (&0.75.into(), &false.into()),
        "{told}"
    );
    assert!(told["budgetLeft"].as_f64().unwrap() < 0.0, "{told}");
    assert!(serving.process.kill().await);
    for objective in ["0", "1", "99", "NaN"] {
        program.set("SERVE__FRESHNESS_OBJECTIVE", objective);
        let refused = program.run(&LOCAL_SERVE).await;
        assert_eq!(refused.code, Some(2), "{refused}");
        let says = refused.error.contains("serve.freshness_objective");
        assert!(says, "{refused}");
    }
}
