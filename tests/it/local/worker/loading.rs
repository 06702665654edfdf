//! Bulk loading against the core extension: both make the same database of any stream.
//!
//! `SEEDBED_LOAD_HISTORIES` sets how many random histories are run, `SEEDBED_LOAD_SEED` the first one's seed. For many
//! that no run had before:
//!
//! ```sh
//! SEEDBED_LOAD_HISTORIES=100000 SEEDBED_LOAD_SEED=$(date +%s)000000 \
//!     cargo test --release -p seedbed-tests --test it -- random_histories --nocapture
//! ```

mod content;
pub(super) mod dump;
mod history;
mod long;
mod paths;

use rand::{SeedableRng, rngs::StdRng};
use rusqlite::Connection;
use seedbed_worker::{oplog::Written, settings::WorkerSettings};
use testkit::{
    pipeline::{Pipeline, same_rows},
    powersync::PowerSync,
};

use self::{dump::dump, paths::compare};

const HISTORIES: u64 = 1_200;
const FIRST_SEED: u64 = 20_261_123;

fn number(variable: &str, otherwise: u64) -> u64 {
    let value = std::env::var(variable).ok();
    value.map_or(otherwise, |value| value.parse().expect(variable))
}

#[test]
fn random_histories_make_the_same_database_on_both_paths() {
    let (first, count) = (
        number("SEEDBED_LOAD_SEED", FIRST_SEED),
        number("SEEDBED_LOAD_HISTORIES", HISTORIES),
    );
    let half = |offset: u64| {
        std::thread::spawn(move || {
            let seeds = (first..first + count).skip(offset as usize).step_by(2);
            let compared = seeds.map(|seed| {
                let mut random = StdRng::seed_from_u64(seed);
                compare(&mut random, &format!("seed {seed}"))
            });
            compared.collect::<Vec<_>>()
        })
    };
    let halves = [half(0), half(1)];
    let written: Vec<Written> = halves
        .into_iter()
        .flat_map(|half| half.join().unwrap())
        .collect();
    let were = |how: fn(&Written) -> bool| written.iter().filter(|written| how(written)).count();
    let (loaded, added, built_again) = (
        were(|written| written.loaded),
        were(|written| written.added),
        were(|written| written.built_again),
    );
    println!(
        "of {count} histories, {loaded} were loaded in bulk, {added} went on on top of that, {built_again} of them with indexes that were built again"
    );
    assert!(loaded * 2 > written.len(), "only {loaded} of {count}");
    assert!(added * 3 > written.len(), "only {added} of {count}");
    assert!(
        built_again * 50 > written.len(),
        "only {built_again} of {count}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_makes_the_same_snapshot_with_and_without_it() {
    let service = PowerSync::builder().start().await.unwrap();
    service.add_generated_store("7", 3_000, 1);
    let mut dumps = Vec::new();
    for fast_load in [true, false] {
        let change = |settings: &mut WorkerSettings| settings.worker.fast_load = fast_load;
        let mut pipeline = Pipeline::start_with(&service, change).await;
        let manifest = pipeline.seed("7").await.unwrap();
        let file = pipeline.file(&manifest);
        same_rows(&service, "7", &file);
        let snapshot = Connection::open(&file).unwrap();
        let pages = |pragma| snapshot.pragma_query_value(None, pragma, |row| row.get::<_, u64>(0));
        let (all, unused) = (
            pages("page_count").unwrap(),
            pages("freelist_count").unwrap(),
        );
        dumps.push((dump(&snapshot, false), all, manifest.checkpoint));
        assert!(unused * 50 <= all, "{unused} of {all} pages are unused");
    }
    let [
        (fast, fast_pages, fast_checkpoint),
        (core, core_pages, core_checkpoint),
    ] = &dumps[..]
    else {
        unreachable!("both were made")
    };
    assert!(fast == core, "the snapshots differ");
    assert_eq!(fast_checkpoint, core_checkpoint);
    // Neither is larger than a copy of it would be, to speak of.
    assert!(
        fast_pages * 50 <= core_pages * 51,
        "{fast_pages} pages instead of {core_pages}"
    );
}
