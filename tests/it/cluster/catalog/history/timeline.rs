//! A run in time: what the catalog keeps of it, what bounded it, and a picture that stays readable.

use chrono::TimeDelta;
use seedbed::runs::progress::timeline::{self, BoundBy, Timeline};
use seedbed_protocol::{
    RunId,
    manifest::StepTiming,
    message::{EventKind, SeedEvent},
};

use crate::cluster::catalog::fixture::{Fixture, completed, failed, started, unchanged};

on_both!(
    a_run_is_told_in_time_with_its_slowest_and_failed_stores_and_what_bounded_it,
    unchanged_and_failed_jobs_tell_what_their_time_went_into_unless_their_worker_is_older,
    a_run_of_many_jobs_is_drawn_together_and_stays_small,
);

/// A store's id that is markup elsewhere.
const MARKUP: &str = "<b>&\"\u{202e}";

/// Seconds that a run took.
const LENGTH: i64 = 100;

/// The run began 200 seconds ago and took 100.
async fn end(fixture: &Fixture, run_id: RunId) -> chrono::DateTime<chrono::Utc> {
    let from = fixture.catalog.now().await.unwrap() - TimeDelta::seconds(2 * LENGTH);
    let (from_millis, until) = (from.timestamp_millis(), from + TimeDelta::seconds(LENGTH));
    let set = format!(
        "UPDATE runs SET started_at = {from_millis}, finished_at = {}, state = 'failed' WHERE id = '{run_id}'",
        until.timestamp_millis()
    );
    fixture.execute(&set).await;
    from
}

async fn read(fixture: &Fixture, run_id: RunId) -> Timeline {
    timeline::read(&fixture.catalog, run_id).await.unwrap()
}

async fn a_run_is_told_in_time_with_its_slowest_and_failed_stores_and_what_bounded_it(
    fixture: Fixture,
) {
    let (run_id, jobs) = fixture.run(&["slow", "quick", MARKUP, "waits"]).await;
    let waiting = read(&fixture, run_id).await;
    assert_eq!((waiting.jobs, waiting.started), (4, 0));
    assert_eq!(waiting.bound.by, BoundBy::Nothing);

    let from = end(&fixture, run_id).await;
    let moment = |event: SeedEvent, worker: &str, seconds| SeedEvent {
        worker: worker.to_owned(),
        at: from + TimeDelta::seconds(seconds),
        ..event
    };
    let seeded = |job, steps: &[(&str, u64)]| {
        let mut event = completed(job, 1);
        if let EventKind::Completed { manifest } = &mut event.kind {
            manifest.steps = timings(steps);
        }
        event
    };
    let [slow, quick, markup, _] = &jobs[..] else {
        panic!("four jobs")
    };
    for (job, worker) in [(slow, "w1"), (quick, "w2"), (markup, "w2")] {
        let at = if job.job_id == markup.job_id { 60 } else { 10 };
        fixture.apply(moment(started(job, 1), worker, at)).await;
    }
    // Together and one by one, which are two ways into the catalog.
    let both = [
        moment(
            seeded(slow, &[("sync", 70), ("verify", 15), ("upload", 5)]),
            "w1",
            100,
        ),
        moment(seeded(quick, &[("sync", 30), ("upload", 20)]), "w2", 60),
    ];
    fixture.catalog.apply(&both).await.unwrap();
    let mut fails = moment(failed(markup, 1, false), "w2", 90);
    fails.steps = timings(&[("compare", 10), ("sync", 20)]);
    fixture.apply(fails).await;

    let told = read(&fixture, run_id).await;
    assert_eq!((told.jobs, told.started, told.failed), (4, 3, 1));
    assert_eq!(told.bound.by, BoundBy::Service);
    assert!(
        told.bound
            .sentence
            .contains("busy for 94 % of the time, with 76 % of it in compare and sync"),
        "{}",
        told.bound.sentence
    );
    let steps: Vec<_> = told.steps.iter().map(|of| (&*of.step, of.millis)).collect();
    let expected = [
        ("sync", 120_000),
        ("upload", 25_000),
        ("verify", 15_000),
        ("compare", 10_000),
    ];
    assert_eq!(steps, expected);
    // Of the same time as the sentence: 71 % and 6 % of it are 76 %, each rounded.
    let shares: Vec<_> = told.steps.iter().map(|of| of.share_percent).collect();
    assert_eq!(shares, [71, 15, 9, 6]);
    let slowest: Vec<_> = told.slowest.iter().map(|job| &*job.store_id).collect();
    assert_eq!(slowest, ["slow", "quick", MARKUP]);
    assert_eq!(told.slowest[0].step.as_deref(), Some("sync"));
    let failures: Vec<_> = told.failures.iter().map(|job| &*job.store_id).collect();
    assert_eq!(failures, [MARKUP]);
    let workers: Vec<_> = (told.workers.iter())
        .map(|of| (&*of.worker, of.slots, of.jobs, of.busy_percent))
        .collect();
    assert_eq!(workers, [("w2", 1, 2, 89), ("w1", 1, 1, 100)]);

    let picture = timeline::draw(&told);
    assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
    assert!(picture.contains("Bounded by the service"));
    assert!(picture.contains("&lt;b&gt;&amp;&quot;\\u{202e}") && !picture.contains("<b>"));
    assert_eq!(picture.matches("class=\"failed-job\"").count(), 1);
    assert_eq!(
        picture.matches("class=\"step-sync\"").count(),
        4,
        "three bars and the legend"
    );
    assert_eq!(
        picture.matches("class=\"step-compare\"").count(),
        2,
        "that of the failed job and the legend"
    );

    // A job that was retried has paused; its last attempt ended with its last step.
    let (run_id, jobs) = fixture.run(&["again"]).await;
    let from = end(&fixture, run_id).await;
    let moment = |event: SeedEvent, seconds| SeedEvent {
        at: from + TimeDelta::seconds(seconds),
        ..event
    };
    fixture.apply(moment(started(&jobs[0], 1), 0)).await;
    let mut event = seeded(&jobs[0], &[("sync", 10)]);
    event.attempt = event.attempt.next();
    if let EventKind::Completed { manifest } = &mut event.kind {
        manifest.attempt = event.attempt;
    }
    fixture.apply(moment(event, 100)).await;
    let told = read(&fixture, run_id).await;
    assert_eq!(told.bound.by, BoundBy::Retries);
    assert!(
        told.bound.sentence.contains("90 %"),
        "{}",
        told.bound.sentence
    );

    let unknown = timeline::read(&fixture.catalog, RunId::new()).await;
    assert!(unknown.unwrap_err().to_string().contains("run"));
}

async fn unchanged_and_failed_jobs_tell_what_their_time_went_into_unless_their_worker_is_older(
    fixture: Fixture,
) {
    let stores = ["one", "two", "three", "old"];
    let (_, bases) = fixture.run(&stores).await;
    for base in &bases {
        fixture.apply(completed(base, 1)).await;
    }
    let (run_id, jobs) = fixture.run(&stores).await;
    let from = end(&fixture, run_id).await;
    let event = |index: usize, steps: &[(&str, u64)]| SeedEvent {
        at: from + TimeDelta::seconds(50),
        steps: timings(steps),
        ..unchanged(&jobs[index], &bases[index])
    };
    for job in &jobs {
        let mut start = started(job, 1);
        start.at = from;
        fixture.apply(start).await;
    }
    // One by one and together.
    fixture.apply(event(0, &[("compare", 30)])).await;
    let both = [event(1, &[("compare", 20)]), event(2, &[("compare", 10)])];
    fixture.catalog.apply(&both).await.unwrap();
    fixture.apply(event(3, &[])).await;
    let told = read(&fixture, run_id).await;
    let steps: Vec<_> = told.steps.iter().map(|of| (&*of.step, of.millis)).collect();
    // All of the older worker's job was its only step; the others were not busy with what they reported all the time.
    assert_eq!(steps, [("compare", 110_000), ("not reported", 90_000)]);
}

fn timings(steps: &[(&str, u64)]) -> Vec<StepTiming> {
    let timing = |(step, seconds): &(&str, u64)| StepTiming {
        step: (*step).to_owned(),
        millis: seconds * 1_000,
    };
    steps.iter().map(timing).collect()
}

async fn a_run_of_many_jobs_is_drawn_together_and_stays_small(fixture: Fixture) {
    const JOBS: usize = 6_000;
    const WORKERS: usize = 150;
    let (run_id, _) = fixture.run(&["first"]).await;
    let from = end(&fixture, run_id).await.timestamp_millis();
    let rows: Vec<String> = (0..JOBS)
        .map(|number| {
            let start = from + (number / WORKERS) as i64 * 2_500;
            format!(
                "('j{number}', '{run_id}', 's{number}', {number}, '{{}}', 'completed', 1, 'w{:03}', {from}, {start}, {}, \
                 'compare=100 scrub=900 vacuum=800 verify=500 upload=100', 'base')",
                number % WORKERS,
                start + 2_500
            )
        })
        .collect();
    for chunk in rows.chunks(500) {
        let values = chunk.join(", ");
        fixture
            .execute(&format!(
                "INSERT INTO jobs (id, run_id, store_id, position, claims, state, attempt, worker, listed_at, \
                 started_at, finished_at, steps, way) VALUES {values}"
            ))
            .await;
    }
    let told = read(&fixture, run_id).await;
    assert_eq!(told.started as usize, JOBS);
    assert_eq!(told.bound.by, BoundBy::Workers);
    assert!(
        told.bound.sentence.contains("busy for 100 %"),
        "{}",
        told.bound.sentence
    );
    assert_eq!((told.workers.len(), told.more_workers), (100, 50));
    assert_eq!(told.slowest.len(), 5);
    let picture = timeline::draw(&told);
    assert!(picture.len() < 200_000, "{} bytes", picture.len());
    assert!(picture.contains(">w000 +3<"));
    assert!(picture.contains("class=\"part-worker\" d=\"M"));
    // What workers spent most time with is the most of the picture.
    assert!(!picture.contains("class=\"step-"));
}
