//! `/api/sizes` and `/api/costs`: what stores take, what is moved, and what that costs.

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
