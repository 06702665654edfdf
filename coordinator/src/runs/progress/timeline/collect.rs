//! Takes the jobs of a run one by one, in the order of their starts, and keeps what a timeline tells of them.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use seedbed_protocol::text;

use super::{
    bound::Measured,
    model::{Marked, StepSum, Timeline, WorkerTimes, millis_between},
    part::Part,
    places::{BinRow, MOST_JOBS, MOST_ROWS, Placed, Places},
    scale::percent,
};
use crate::catalog::{JobState, RunReport, TimedJob};

/// Slow jobs that are marked.
const SLOWEST: usize = 5;

/// Failed jobs that are marked.
const FAILURES: usize = 20;

/// Workers that are told of; the rest is counted.
const WORKERS: usize = 100;

/// Workers that are kept apart. More than a fleet has: they come and go with their pods.
const MOST_WORKERS: usize = 2_000;

/// The name of all workers beyond them.
const OTHERS: &str = "others";

/// A job on its way into a picture. Times are milliseconds since the start of the run.
struct Span {
    from: u64,
    until: u64,
    work_from: u64,
    steps: Vec<(String, u64)>,
}

/// One worker until now.
struct Worker {
    jobs: u64,
    busy: u64,
    /// When each of its rows is free again.
    rows: Vec<u64>,
    bins: BinRow,
}

/// What is known until now.
pub(super) struct Collector {
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    length: u64,
    /// The slots of workers that are there.
    slots: HashMap<String, u64>,
    workers: BTreeMap<String, Worker>,
    steps: HashMap<String, u64>,
    slowest: Vec<Marked>,
    failures: Vec<Marked>,
    /// Jobs with the row of their worker, as long as they are few.
    placed: Vec<(String, Placed)>,
    first: Option<u64>,
    last: u64,
    started: u64,
    took: u64,
    paused: u64,
    parts: [u64; Part::EACH.len()],
}

impl Collector {
    pub(super) fn new(run: &RunReport, now: DateTime<Utc>, slots: HashMap<String, u64>) -> Self {
        let from = run.started_at;
        let until = run.finished_at.unwrap_or(now).max(from);
        Self {
            from,
            until,
            length: millis_between(from, until).max(1),
            slots,
            workers: BTreeMap::new(),
            steps: HashMap::new(),
            slowest: Vec::new(),
            failures: Vec::new(),
            placed: Vec::new(),
            first: None,
            last: 0,
            started: 0,
            took: 0,
            paused: 0,
            parts: Default::default(),
        }
    }

    pub(super) fn add(&mut self, job: TimedJob) {
        let span = self.span(&job);
        self.started += 1;
        self.first = Some(self.first.unwrap_or(span.from).min(span.from));
        self.last = self.last.max(span.until);
        let took = span.until - span.from;
        self.took += took;
        self.paused += span.work_from - span.from;
        self.mark(&job, &span);
        let name = match self.workers.contains_key(&job.worker) || self.workers.len() < MOST_WORKERS
        {
            true => job.worker.clone(),
            false => OTHERS.to_owned(),
        };
        let worker = self
            .workers
            .entry(name.clone())
            .or_insert_with(|| Worker::new(&name));
        worker.jobs += 1;
        worker.busy += span.until - span.work_from;
        let row = worker.row(span.from, span.until);
        let mut at = span.work_from;
        let mut known = 0;
        for (step, millis) in &span.steps {
            let part = Part::of(step);
            *self.steps.entry(step.clone()).or_default() += millis;
            self.parts[part as usize] += millis;
            worker.bins.add(part, at, at + millis, self.length);
            at += millis;
            known += millis;
        }
        self.parts[Part::Unknown as usize] += (span.until - span.work_from).saturating_sub(known);
        worker.bins.add(Part::Unknown, at, span.until, self.length);
        if self.placed.len() <= MOST_JOBS {
            let placed = Placed {
                store_id: job.store_id,
                row,
                from: span.from,
                until: span.until,
                work_from: span.work_from,
                state: job.state.name(),
                way: way(job.way.as_deref()),
                steps: span.steps,
            };
            self.placed.push((name, placed));
        }
    }

    /// When the job ran, within the run: clocks differ.
    fn span(&self, job: &TimedJob) -> Span {
        let from = millis_between(self.from, job.started_at).min(self.length);
        let until = match job.finished_at {
            Some(finished) => millis_between(self.from, finished).clamp(from, self.length),
            None => self.length,
        };
        let took = until - from;
        let mut steps: Vec<(String, u64)> = Vec::new();
        let mut left = took;
        for step in &job.steps {
            let millis = step.millis.min(left);
            left -= millis;
            steps.push((step.step.clone(), millis));
        }
        // What was not reported went into the only step that there was, or into the one that failed.
        let only = match (job.state, &job.failed_step) {
            _ if !steps.is_empty() => None,
            (JobState::Unchanged, _) => Some("compare"),
            (JobState::Failed, Some(step)) => Some(step.as_str()),
            _ => None,
        };
        if let Some(step) = only {
            steps.push((step.to_owned(), took));
        }
        // Only of a job that was tried again is it known that it paused.
        let work_from = match job.attempts > 1 && !job.steps.is_empty() {
            true => from + left,
            false => from,
        };
        Span {
            from,
            until,
            work_from,
            steps,
        }
    }

    /// Keeps the slowest and the failed ones.
    fn mark(&mut self, job: &TimedJob, span: &Span) {
        let millis = span.until - span.from;
        let is_slow = self.slowest.len() < SLOWEST
            || self.slowest.last().is_some_and(|last| last.millis < millis);
        let is_failure = job.state == JobState::Failed && self.failures.len() < FAILURES;
        if !is_slow && !is_failure {
            return;
        }
        let longest = span.steps.iter().max_by_key(|(_, millis)| *millis);
        let step = match job.state {
            JobState::Failed => job.failed_step.clone(),
            _ => longest.map(|(step, _)| step.clone()),
        };
        let marked = Marked {
            store_id: job.store_id.clone(),
            worker: job.worker.clone(),
            state: job.state,
            way: job.way.clone(),
            millis,
            step,
            attempts: job.attempts,
            offset: span.from,
        };
        if is_failure {
            self.failures.push(marked.clone());
        }
        if is_slow {
            let place = self.slowest.partition_point(|of| of.millis >= millis);
            self.slowest.insert(place, marked);
            self.slowest.truncate(SLOWEST);
        }
    }

    pub(super) fn timeline(self, run: &RunReport) -> Timeline {
        let first = self.first.unwrap_or_default();
        let span = self.last.saturating_sub(first);
        let slots = |name: &String, worker: &Worker| {
            let seen = worker.rows.len() as u64;
            self.slots.get(name).copied().unwrap_or(seen).max(1)
        };
        let capacity = self.workers.iter().map(|(name, of)| slots(name, of) * span);
        let longest = self.slowest.first();
        let store = longest.map(|job| text::visible(&job.store_id).into_owned());
        let measured = Measured {
            length: self.length,
            before_first: first,
            span,
            started: self.started,
            jobs_took: self.took,
            paused: self.paused,
            capacity: capacity.sum(),
            longest: longest.map(|job| job.millis).unwrap_or_default(),
            longest_store: store.as_deref().unwrap_or_default(),
            parts: self.parts,
        };
        let bound = measured.bound();
        let mut workers: Vec<WorkerTimes> = (self.workers.iter())
            .map(|(name, worker)| WorkerTimes {
                worker: name.clone(),
                slots: slots(name, worker),
                jobs: worker.jobs,
                busy_percent: percent(worker.busy, slots(name, worker) * span).min(100),
            })
            .collect();
        workers.sort_by(|one, other| {
            other
                .jobs
                .cmp(&one.jobs)
                .then(one.worker.cmp(&other.worker))
        });
        let more_workers = workers.len().saturating_sub(WORKERS) as u64;
        workers.truncate(WORKERS);
        // All work, as the sentence has it: also that of jobs that have not reported their steps yet.
        let all: u64 = self.parts.iter().sum();
        let known: u64 = self.steps.values().sum();
        let rest = (NOT_REPORTED.to_owned(), all.saturating_sub(known));
        let rest = Some(rest).filter(|(_, millis)| *millis > 0);
        let mut steps: Vec<StepSum> = (self.steps.into_iter().chain(rest))
            .map(|(step, millis)| StepSum {
                part: Part::of(&step),
                step,
                millis,
                share_percent: percent(millis, all),
            })
            .collect();
        steps.sort_by(|one, other| {
            let by_name = one.step.cmp(&other.step);
            other.millis.cmp(&one.millis).then(by_name)
        });
        Timeline {
            run_id: run.run_id,
            state: run.state,
            from: self.from,
            until: self.until,
            jobs: run.totals.stores,
            started: self.started,
            failed: run.totals.all_failed(),
            bound,
            steps,
            workers,
            more_workers,
            slowest: self.slowest,
            failures: self.failures,
            places: places(self.workers, self.placed),
        }
    }
}

/// What stands for the steps that are not known.
const NOT_REPORTED: &str = "not reported";

impl Worker {
    fn new(name: &str) -> Self {
        Self {
            jobs: 0,
            busy: 0,
            rows: Vec::new(),
            bins: BinRow::new(name.to_owned(), 0),
        }
    }

    /// The first row that is free for a job, which takes it.
    fn row(&mut self, from: u64, until: u64) -> usize {
        match self.rows.iter().position(|free| *free <= from) {
            Some(row) => {
                self.rows[row] = until;
                row
            }
            None => {
                self.rows.push(until);
                self.rows.len() - 1
            }
        }
    }
}

/// Each job on its own, as long as there is room; else workers, several in a row if they are many.
fn places(workers: BTreeMap<String, Worker>, placed: Vec<(String, Placed)>) -> Places {
    let rows: usize = workers.values().map(|worker| worker.rows.len()).sum();
    if placed.len() <= MOST_JOBS && rows <= MOST_ROWS {
        let mut above = 0;
        let mut tops = HashMap::new();
        let mut named = Vec::new();
        for (name, worker) in workers {
            tops.insert(name.clone(), above);
            above += worker.rows.len();
            named.push((name, worker.rows.len()));
        }
        let moved = placed.into_iter().map(|(name, job)| Placed {
            row: job.row + tops.get(&name).copied().unwrap_or_default(),
            ..job
        });
        return Places::Jobs {
            rows: named,
            jobs: moved.collect(),
        };
    }
    let in_a_row = workers.len().div_ceil(MOST_ROWS).max(1);
    let mut rows: Vec<BinRow> = Vec::new();
    let workers: Vec<Worker> = workers.into_values().collect();
    for together in workers.chunks(in_a_row) {
        let name = together[0].bins.name.clone();
        let mut row = BinRow::new(name, 0);
        for worker in together {
            row.merge(&worker.bins, worker.rows.len() as u64);
        }
        if together.len() > 1 {
            row.name = format!("{} +{}", row.name, together.len() - 1);
        }
        rows.push(row);
    }
    Places::Bins(rows)
}

/// Ways as the picture's classes have them.
fn way(way: Option<&str>) -> &'static str {
    match way {
        Some("unchanged") => "unchanged",
        Some("base") => "base",
        Some("full") => "full",
        _ => "none",
    }
}
