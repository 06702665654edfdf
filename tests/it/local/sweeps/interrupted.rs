//! Kills, interrupts and second processes, at any moment of a sweep.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;
use testkit::{
    powersync::{Fault, PowerSync},
    program::{Process, Program},
};

use super::support::{
    DATA, FULL, IN_FLIGHT, LOCAL, Listed, assert_catalog_is_true, assert_nothing_is_left,
    assert_rows, catalog, count, file_of, files_below, list, objects, service_with, snapshots,
    summary,
};

/// Numbers that look random and are the same in each run of the tests (SplitMix64).
struct Dice(u64);

impl Dice {
    /// From 0 to below `limit`.
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// What a round waits for before it ends the process.
#[derive(Debug)]
enum Moment {
    /// This time after the start.
    After(Duration),
    /// This many operations were sent.
    Operations(u64),
    /// This many objects are in place.
    Objects(usize),
}

impl Moment {
    /// Waits for it, or for the end of the process if that is first.
    async fn wait(&self, service: &PowerSync, program: &Program, process: &mut Process) {
        let started = Instant::now();
        while process.is_running() {
            let reached = match self {
                Self::After(time) => started.elapsed() >= *time,
                Self::Operations(count) => service.metrics().total.operations >= *count,
                Self::Objects(count) => files_below(&objects(program)).len() >= *count,
            };
            if reached {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Moments all over a run, the same ones in each run of the tests.
struct Moments {
    dice: Dice,
    round: u64,
    whole_run: Duration,
    operations_of_a_run: u64,
}

impl Moments {
    /// Measures a run without interruption.
    async fn measure(service: &PowerSync, program: &Program) -> Self {
        let started = Instant::now();
        let ended = program.run(&FULL).await;
        assert_eq!(ended.code, Some(0), "{ended}");
        Self {
            dice: Dice(7),
            round: 0,
            whole_run: started.elapsed(),
            operations_of_a_run: service.metrics().total.operations,
        }
    }

    /// A moment of the run that starts now, with these snapshots in place.
    fn next(&mut self, service: &PowerSync, snapshots: &[Listed]) -> Moment {
        self.round += 1;
        let dice = &mut self.dice;
        match self.round % 3 {
            0 => Moment::After(self.whole_run.mul_f64(dice.below(1000) as f64 / 1000.0)),
            1 => {
                let further = 1 + dice.below(self.operations_of_a_run);
                Moment::Operations(service.metrics().total.operations + further)
            }
            // A file and a manifest each, and up to those of the run's last store.
            _ => Moment::Objects(2 * snapshots.len() + 1 + dice.below(13) as usize),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_moment_leaves_only_true_snapshots_and_the_next_run_cleans_up() {
    let (service, program) = service_with(&["1", "2", "3", "4", "5", "6"], 150).await;
    service.add_generated_store("large", 3_000, 1);
    list(&program, &["1", "2", "3", "large", "4", "5", "6"]);
    let mut moments = Moments::measure(&service, &program).await;
    let mut listed = assert_catalog_is_true(&program).await;

    let (mut killed, mut in_flight) = (0, 0);
    for _ in 0..21 {
        let moment = moments.next(&service, &listed);
        let mut process = program.start(&FULL);
        moment.wait(&service, &program, &mut process).await;
        killed += u32::from(process.kill().await);
        in_flight += u32::from(count(&program, IN_FLIGHT) > 0);
        listed = assert_catalog_is_true(&program).await;
    }
    assert!(
        killed >= 14 && in_flight >= 7,
        "{killed} rounds of 21 were killed, {in_flight} at work"
    );

    let ended = program.run(&FULL).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    assert_eq!(summary(&ended)["seeded"], 7);
    assert_nothing_is_left(&program).await;
    for Listed { manifest, .. } in snapshots(&program, false).await {
        let store = manifest.store_id.as_str();
        assert_rows(&service, &file_of(&program, &manifest), store);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_at_any_moment_abandons_what_is_in_flight_and_leaves_nothing_half_done() {
    let (service, program) = service_with(&["1", "2", "3", "4", "5", "6"], 150).await;
    // Large enough that its file takes a while to be moved to its place.
    service.add_generated_store("large", 3_000, 1);
    list(&program, &["1", "2", "3", "large", "4", "5", "6"]);
    let mut moments = Moments::measure(&service, &program).await;
    let mut listed = assert_catalog_is_true(&program).await;

    let mut interrupted = 0;
    for round in 0..12 {
        let moment = moments.next(&service, &listed);
        let mut process = program.start(&FULL);
        // Before this it does not listen for signals, and a signal is a kill.
        let lock = program.path(DATA).join("catalog.db.lock");
        process.until("it has its data", |_| is_locked(&lock)).await;
        moment.wait(&service, &program, &mut process).await;
        if process.is_running() {
            process.signal(if round % 2 == 0 { "INT" } else { "TERM" });
        }
        let ended = process.end().await;
        if ended.code != Some(0) {
            assert_eq!(ended.code, Some(130), "{moment:?}: {ended}");
            interrupted += 1;
        }
        assert_nothing_is_left(&program).await;
        listed = snapshots(&program, true).await;
    }
    assert!(
        interrupted >= 6,
        "{interrupted} rounds of 12 were interrupted"
    );
    let ended = program.run(&FULL).await;
    assert_eq!(ended.code, Some(0), "{ended}");
}

fn is_locked(file: &Path) -> bool {
    let Ok(file) = std::fs::File::open(file) else {
        return false;
    };
    matches!(file.try_lock(), Err(std::fs::TryLockError::WouldBlock))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_run_is_abandoned_and_the_next_one_starts_afresh() {
    let (service, program) = service_with(&["1", "2", "3", "4", "5"], 100).await;
    assert_eq!(program.run(&FULL).await.code, Some(0));
    let completed = "SELECT count(*) FROM jobs WHERE state = 'completed'";
    let abandoned = "SELECT count(*) FROM jobs WHERE state = 'abandoned'";
    for signal in ["INT", "TERM"] {
        // Its stream stands still: its job is in flight for certain.
        let stall = Fault::StallAfter { bytes: 1_000 };
        service.faults().push_for("2", stall);
        let before = [completed, abandoned].map(|sql| count(&program, sql));
        let mut process = program.start(&FULL);
        let others = |_: &Process| count(&program, completed) == before[0] + 4;
        process.until("the others are seeded", others).await;
        process.signal(signal);
        let ended = process.end().await;
        assert_eq!(ended.code, Some(130), "{ended}");
        assert!(ended.error.contains("stopping"), "{ended}");
        assert_eq!(count(&program, abandoned), before[1] + 1);
        assert_nothing_is_left(&program).await;
        let status = program.run(&["status", "--json"]).await;
        let status: Value = serde_json::from_str(&status.output).unwrap();
        assert_eq!(status["runs"][0]["state"], "abandoned");

        let ended = program.run(&FULL).await;
        assert_eq!(ended.code, Some(0), "{ended}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once() {
    let (service, program) = service_with(&["1", "2"], 100).await;
    service.set_ready(false);
    let mut process = program.start(&LOCAL);
    service.wait_for(|metrics| metrics.total.requests > 0).await;
    // A clean stop writes to the catalog, which this lock prevents.
    let catalog = catalog(&program);
    catalog.busy_timeout(Duration::from_secs(5)).unwrap();
    catalog.execute_batch("BEGIN IMMEDIATE").unwrap();
    process.signal("INT");
    let heard = |process: &Process| process.error().contains("stopping");
    process.until("the first signal is heard", heard).await;
    assert!(process.is_running());
    process.signal("TERM");
    let ended = process.end().await;
    assert_eq!(ended.code, Some(130), "{ended}");
    catalog.execute_batch("ROLLBACK").unwrap();
    assert_eq!(count(&program, IN_FLIGHT), 2, "it did not stop cleanly");

    service.set_ready(true);
    assert_eq!(program.run(&LOCAL).await.code, Some(0));
    assert_nothing_is_left(&program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_same_data_is_refused_and_disturbs_nobody() {
    let (service, mut program) = service_with(&["1", "2", "3", "4", "5"], 100).await;
    // As many as the first one needs until the second one is gone.
    program.set("WORKER__MAX_ATTEMPTS", "10000");
    service.set_ready(false);
    let first = program.start(&LOCAL);
    service.wait_for(|metrics| metrics.total.requests > 0).await;

    let second = program.run(&LOCAL).await;
    assert_eq!(
        second.code,
        Some(3),
        "it may be run when the first has ended: {second}"
    );
    assert!(
        second.error.contains("another `seedbed local`") && second.error.contains("catalog.db"),
        "{second}"
    );
    assert_eq!(second.output, "");
    // Reading is allowed.
    let status = program.run(&["status"]).await;
    assert!(
        status.code == Some(0) && status.output.contains("running"),
        "{status}"
    );

    service.set_ready(true);
    let first = first.end().await;
    assert_eq!(first.code, Some(0), "{first}");
    assert_eq!(summary(&first)["seeded"], 5);
    assert_nothing_is_left(&program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_although_a_store_of_it_is_forgotten_meanwhile() {
    let (service, program) = service_with(&["1", "2", "3"], 100).await;
    let completed = "SELECT count(*) FROM jobs WHERE state = 'completed'";
    assert_eq!(program.run(&FULL).await.code, Some(0));
    let before = count(&program, completed);
    let stall = Fault::StallAfter { bytes: 1_000 };
    service.faults().always_for("2", stall);
    let mut process = program.start(&FULL);
    let others = |_: &Process| count(&program, completed) == before + 2;
    process.until("the others are seeded", others).await;
    let forgotten = program.run(&["forget", "2", "--json"]).await;
    assert_eq!(forgotten.code, Some(0), "{forgotten}");
    let ended = process.end().await;
    assert_eq!(ended.code, Some(0), "{ended}");
    assert_nothing_is_left(&program).await;
}
