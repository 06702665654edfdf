//! What a prepared database saves, and that its jobs end in what a full download makes.

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use seedbed_protocol::manifest::{FullReason, Way};
use serde_json::json;
use testkit::{
    pipeline::{End, Pipeline, job, same_rows, starting_from},
    powersync::{Fault, PowerSync, Source, StreamDefinition, SyncConfig},
    wait,
};

use super::support::{OWN, Prepared, SHARED, has};

#[tokio::test(flavor = "multi_thread")]
async fn the_third_store_starts_from_a_prepared_database_and_becomes_what_a_full_download_makes() {
    let mut prepared = Prepared::start().await;
    assert_eq!(prepared.files().len(), 0);
    for store in ["3", "4", "5"] {
        let manifest = prepared.seed_and_compare(store).await;
        assert!(prepared.began_prepared(&manifest), "{store}");
        assert_eq!(manifest.way(), Way::Full(FullReason::First));
        assert_eq!(manifest.download.operations, u64::from(OWN) + 1);
        assert_eq!(prepared.files().len(), 1);
    }
    // All at once.
    let stores = ["6", "7", "8", "9", "1"];
    for manifest in prepared.pipeline.seed_all(&stores).await.unwrap() {
        assert!(prepared.began_prepared(&manifest));
        let store = manifest.store_id.as_str();
        same_rows(&prepared.service, store, &prepared.pipeline.file(&manifest));
    }
    assert_eq!(prepared.files().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_wait_for_it_get_the_same_one() {
    let mut prepared = Prepared::start_with(|settings| settings.worker.slots = Some(4)).await;
    let stores = ["3", "4", "5", "6"];
    for manifest in prepared.pipeline.seed_all(&stores).await.unwrap() {
        assert!(prepared.began_prepared(&manifest));
    }
    assert_eq!(prepared.files().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn random_changes_end_in_what_a_full_download_makes() {
    let mut random = StdRng::seed_from_u64(7);
    let mut prepared = Prepared::start().await;
    let mut began = 0;
    for round in 0..8 {
        let store = (3 + round % 5).to_string();
        let service = &prepared.service;
        let of = |store: &str| -> Vec<String> { service.rows(store).map(|row| row.id).collect() };
        let (shared, own) = (of("shared"), of(&store));
        service.write(|rows| {
            for n in 0..random.random_range(0..12) {
                let id = format!("{round}-{n}");
                let to = if random.random_bool(0.5) { "shared" } else { &*store };
                let everywhere = random.random_bool(0.3);
                match random.random_range(0..4) {
                    0 => rows.put(
                        "products",
                        json!({ "id": id, "store_id": to, "name": "new", "everywhere": everywhere }),
                    ),
                    1 => rows.put(
                        "products",
                        json!({ "id": shared.choose(&mut random), "store_id": "shared", "name": "changed" }),
                    ),
                    2 => {
                        rows.remove("products", shared.choose(&mut random).unwrap());
                    }
                    // From one bucket to the other.
                    _ => rows.put(
                        "products",
                        json!({ "id": own.choose(&mut random), "store_id": to, "name": "moved", "everywhere": everywhere }),
                    ),
                }
            }
        });
        if round == 5 {
            prepared.service.compact();
        }
        let manifest = prepared.seed_and_compare(&store).await;
        began += u32::from(prepared.began_prepared(&manifest));
    }
    assert!(
        began >= 4,
        "{began} of 8 jobs began with a prepared database"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_the_store_does_not_have_is_in_no_byte_of_its_snapshot() {
    let mut prepared = Prepared::start().await;
    // Short enough for a page with others, and long enough for pages of its own.
    let secrets = ["removed", "replaced"].map(|why| format!("a-text-that-was-{why}-since"));
    for secret in &secrets {
        prepared.put_shared(&format!("short-{}", secret.len()), secret);
        prepared.put_shared(&format!("long-{}", secret.len()), &secret.repeat(500));
    }
    // As much as makes the cache keep what is new, and the operation that proves it.
    prepared.service.write(|rows| {
        for row in 0..200 {
            let id = format!("more-{row}");
            rows.put("products", json!({ "id": id, "store_id": "shared" }));
        }
    });
    wait::until("a database with them is prepared", async || {
        let manifest = prepared.seed("3").await;
        for secret in &secrets {
            assert!(prepared.holds(&manifest, secret).await);
        }
        let mut files = prepared.files().into_iter();
        files.any(|file| std::fs::read(file).is_ok_and(|bytes| has(&bytes, &secrets[0])))
    })
    .await;
    for length in ["short", "long"] {
        let ids = secrets
            .each_ref()
            .map(|secret| format!("{length}-{}", secret.len()));
        assert!(prepared.service.remove("products", &ids[0]));
        prepared.put_shared(&ids[1], "another name");
    }
    for store in ["4", "5"] {
        let manifest = prepared.seed_and_compare(store).await;
        assert!(prepared.began_prepared(&manifest));
        for secret in &secrets {
            assert!(!prepared.holds(&manifest, secret).await, "{secret}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_service_says_who_has_what_is_prepared() {
    let region = Source::claim("region");
    let config = SyncConfig::streams([
        StreamDefinition::new("region", "products").parameter("region", region)
    ]);
    let service = PowerSync::builder().config(config).start().await.unwrap();
    service.write(|rows| {
        for (region, count) in [("north", 3_000), ("south", 10)] {
            for row in 0..count {
                let id = format!("of-{region}-{row}");
                rows.put("products", json!({ "id": id, "region": region }));
            }
        }
    });
    let pipeline = Pipeline::start(&service).await;
    let mut prepared = Prepared { service, pipeline };
    for (store, region) in [
        ("1", "north"),
        ("2", "north"),
        ("3", "north"),
        ("4", "south"),
    ] {
        let claims = json!({ "store_id": store, "region": region });
        let manifest = prepared
            .pipeline
            .run(job(store, claims, Vec::new()))
            .await
            .unwrap();
        assert_eq!(
            prepared.holds(&manifest, "of-north-").await,
            region == "north"
        );
        let rows = if region == "north" { 3_000 } else { 10 };
        assert_eq!(manifest.rows(), rows);
    }
    assert_eq!(prepared.files().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_is_resumed_and_what_is_prepared_is_still_to_be_proven() {
    let mut prepared = Prepared::start().await;
    prepared.seed("3").await;
    for bytes in [600, 3_000, 6_600] {
        prepared.service.faults().push(Fault::CutAfter { bytes });
        let manifest = prepared.seed_and_compare("4").await;
        assert!(prepared.began_prepared(&manifest), "{bytes}");
        assert_eq!(prepared.service.faults().waiting(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stores_own_base_goes_first_if_it_costs_less() {
    let mut prepared = Prepared::start().await;
    let base = prepared.seed("3").await;
    let another = |base| starting_from(base, job("3", json!({ "store_id": "3" }), Vec::new()));
    assert!(matches!(
        prepared.pipeline.end(another(&base)).await,
        Ok(End::Unchanged(_))
    ));
    // Fetching 3,010 rows costs more than downloading 11.
    prepared.put_shared("new", "new");
    let made = prepared.pipeline.run(another(&base)).await.unwrap();
    assert_eq!(made.way(), Way::Full(FullReason::Changed));
    assert!(prepared.began_prepared(&made));
    same_rows(&prepared.service, "3", &prepared.pipeline.file(&made));
    // With many rows of its own it is the other way round.
    prepared.service.add_generated_store("3", SHARED, 99);
    let large = prepared.seed("3").await;
    prepared.put_shared("newer", "newer");
    let made = prepared.pipeline.run(another(&large)).await.unwrap();
    assert_eq!(made.way(), Way::Base);
    same_rows(&prepared.service, "3", &prepared.pipeline.file(&made));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_prepared_where_nothing_is_shared_or_the_cache_is_off_or_too_small() {
    for case in ["nothing shared", "off", "too small"] {
        let mut prepared = Prepared::start_with(|settings| match case {
            "off" => settings.buckets.enabled = false,
            "too small" => settings.buckets.worker_mib = 2,
            _ => settings.buckets.min_operations = u64::from(SHARED) + 1,
        })
        .await;
        for store in ["3", "4"] {
            let manifest = prepared.seed(store).await;
            assert!(!prepared.began_prepared(&manifest), "{case}");
        }
        assert_eq!(prepared.files().len(), 0, "{case}");
    }
}
