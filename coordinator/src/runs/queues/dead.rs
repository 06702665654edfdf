//! Settles parked jobs: each message in the queue of parked jobs, whoever put it there, leads to an outcome in the catalog.
//!
//! A worker parks a job after it has reported why; RabbitMQ parks one that came back unsettled too often or whose time ran
//! out; a person may move one. If the catalog has an outcome, the message is removed. If not, the job is tried again as
//! long as it has attempts and time left, and has failed otherwise. A message is acknowledged after the catalog has
//! committed, so a kill in between only makes the next pass look again.
//!
//! What cannot be read, and a job that the catalog does not know, stays in the queue for a person. The queue is therefore
//! not consumed but looked through again and again: what stays is visible there, and nobody holds it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{TimeDelta, Utc};
use opentelemetry::metrics::Gauge;
use seedbed_protocol::{
    JobId,
    broker::{Broker, BrokerError, Delivery, Headers, Message, Queue, Subject},
    message::{EventKind, Failure, FailureKind, SeedEvent, SeedJob},
};
use seedbed_worker::{Backoff, settings::WorkerConfig};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::messages::take_page;
use crate::{
    catalog::{Catalog, DeadJob},
    metrics::meter,
    runs::error::RunError,
};

/// Between two looks at the queue.
const PAUSE: Duration = Duration::from_secs(2);

/// How long messages that stay are left alone, if nothing was added to them.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// How long a job without an outcome is left alone: the report of the worker that has parked it may be on its way.
const GRACE: Duration = Duration::from_secs(5);

/// The same while reports wait to be recorded.
const LONGEST_GRACE: Duration = Duration::from_secs(40);

/// How long after its deadline a job that the catalog does not know is forgotten.
const FORGET_AFTER: TimeDelta = TimeDelta::hours(1);

/// Messages that one pass holds, and their bytes. What is beyond waits for a later pass.
const MAX_HELD: usize = 10_000;
const MAX_HELD_BYTES: usize = 64 * 1024 * 1024;

/// The step at which a job fails here.
const STEP: &str = "queue";

/// Settles parked jobs.
pub struct DeadLetters {
    catalog: Catalog,
    broker: Arc<dyn Broker>,
    max_attempts: u32,
    backoff: Backoff,
    /// Since when this process has seen jobs without an outcome.
    seen: HashMap<JobId, Instant>,
    /// How many messages stayed after the last pass, and when that was.
    stayed: Option<(u64, Instant)>,
    unreadable: Gauge<u64>,
}

/// What becomes of a parked message.
enum Fate {
    /// The catalog has an outcome: it is removed.
    Done,
    /// The job is tried again, with this message and after this pause.
    Again(SeedEvent, Box<(Message, Duration)>),
    /// The job has failed.
    Failed(SeedEvent),
    /// It stays for a person.
    Stays,
    /// The job has failed, and the message stays for a person.
    FailedAndStays(SeedEvent),
    /// It is too early to tell.
    Waits,
}

/// What is known of one parked message.
struct Found {
    headers: Headers,
    job: Result<SeedJob, String>,
    subject: Option<Subject>,
}

impl DeadLetters {
    /// Settles the parked jobs of `catalog`; jobs are retried as `config` says.
    pub fn new(catalog: Catalog, broker: Arc<dyn Broker>, config: &WorkerConfig) -> Self {
        Self {
            catalog,
            broker,
            max_attempts: config.max_attempts,
            backoff: Backoff::between_attempts(config.backoff, config.max_backoff),
            seen: HashMap::new(),
            stayed: None,
            unreadable: meter()
                .u64_gauge("seedbed.jobs.unreadable")
                .with_unit("{message}")
                .with_description("Parked messages that cannot be read, or of jobs that the catalog does not know")
                .build(),
        }
    }

    /// Looks through the queue again and again until `stop` is cancelled. Whatever fails is tried again.
    pub async fn run(mut self, stop: &CancellationToken) {
        loop {
            match self.pass(GRACE).await {
                Err(RunError::Broker(BrokerError::Closed)) => return,
                Err(error) => warn!("parked jobs are settled later: {error}"),
                Ok(()) => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    /// Settles what is parked now. The caller has recorded every report that waited.
    ///
    /// # Errors
    /// [`RunError`] when the catalog or the broker fails.
    pub async fn settle_now(&mut self) -> Result<(), RunError> {
        self.pass(Duration::ZERO).await
    }

    async fn pass(&mut self, grace: Duration) -> Result<(), RunError> {
        let mut left = self.broker.waiting(Queue::ParkedJobs).await?;
        if self.is_known(left) {
            return Ok(());
        }
        let grace = match self.broker.waiting(Queue::Events).await? {
            0 => grace,
            _ => grace.mul_f64(LONGEST_GRACE.div_duration_f64(GRACE)),
        };
        let (mut stay, mut wait) = (Vec::new(), Vec::new());
        let mut bytes = 0;
        while left > 0 && stay.len() + wait.len() < MAX_HELD && bytes < MAX_HELD_BYTES {
            let page = take_page(self.broker.as_ref(), Queue::ParkedJobs, left).await?;
            if page.is_empty() {
                break;
            }
            left = left.saturating_sub(page.len() as u64);
            let (of_page, waiting) = self.settle_page(page, grace).await?;
            let held = of_page.iter().chain(&waiting);
            bytes += held
                .map(|delivery| delivery.message.body.len())
                .sum::<usize>();
            stay.extend(of_page);
            wait.extend(waiting);
        }
        self.unreadable.record(stay.len() as u64, &[]);
        self.stayed = (wait.is_empty() && left == 0).then(|| (stay.len() as u64, Instant::now()));
        self.forget_settled(&wait);
        if left > 0 {
            error!(
                "more messages stay in {} than one pass looks at",
                Queue::ParkedJobs
            );
            // To the end of the queue, so that the next pass comes to the others.
            for delivery in stay {
                delivery.hand_back().await?;
            }
        }
        // What is dropped here goes back to its queue as it was.
        Ok(())
    }

    /// Whether the queue only has what stayed in it before. That is looked at again once in a while: a retry or a rebuilt
    /// catalog may have settled it.
    fn is_known(&self, messages: u64) -> bool {
        match self.stayed {
            _ if messages == 0 => self.stayed.is_some_and(|(stayed, _)| stayed == 0),
            Some((stayed, at)) => stayed == messages && at.elapsed() < LOOK_AGAIN,
            None => false,
        }
    }

    fn forget_settled(&mut self, waiting: &[Delivery]) {
        let waiting: HashSet<JobId> = waiting.iter().filter_map(|d| found(d).job_id()).collect();
        self.seen.retain(|id, _| waiting.contains(id));
    }

    /// Settles the messages of a page that can be settled; returns those that stay and those that wait.
    async fn settle_page(
        &mut self,
        page: Vec<Delivery>,
        grace: Duration,
    ) -> Result<(Vec<Delivery>, Vec<Delivery>), RunError> {
        let fates = {
            let found: Vec<Found> = page.iter().map(found).collect();
            let job_ids: Vec<JobId> = found.iter().filter_map(Found::job_id).collect();
            let known = self.catalog.dead_jobs(&job_ids).await?;
            let replaced = self.catalog.replaced_among(&job_ids).await?;
            let fate = |found: &Found| {
                let job_id = found.job_id();
                let known = job_id.and_then(|id| known.get(&id));
                let is_replaced = job_id.is_some_and(|id| replaced.contains(&id));
                self.fate(found, known, is_replaced, grace)
            };
            found.iter().map(fate).collect::<Vec<_>>()
        };
        let events: Vec<SeedEvent> = fates.iter().filter_map(Fate::event).cloned().collect();
        if !events.is_empty() {
            self.catalog.apply(&events).await?;
        }
        let (mut stay, mut wait) = (Vec::new(), Vec::new());
        for (delivery, fate) in page.into_iter().zip(fates) {
            match fate {
                Fate::Done | Fate::Failed(_) => delivery.ack().await?,
                Fate::Again(_, next) => {
                    let (message, pause) = *next;
                    delivery.retry_later(message, pause).await?;
                }
                Fate::Stays | Fate::FailedAndStays(_) => stay.push(delivery),
                Fate::Waits => wait.push(delivery),
            }
        }
        Ok((stay, wait))
    }

    fn fate(
        &mut self,
        found: &Found,
        known: Option<&DeadJob>,
        is_replaced: bool,
        grace: Duration,
    ) -> Fate {
        let Some(subject) = &found.subject else {
            return Fate::Stays;
        };
        let known = known
            .filter(|known| (known.run_id, &known.store_id) == (subject.run_id, &subject.store_id));
        match (&found.job, known) {
            (Ok(job), None) if job.deadline + FORGET_AFTER < Utc::now() => Fate::Done,
            (_, None) => Fate::Stays,
            (Ok(_), Some(known)) if !known.state.is_in_flight() => Fate::Done,
            // A later attempt is on its way: this message was left by a kill between the two.
            (Ok(job), Some(known)) if u64::from(job.attempt.get()) < known.attempt => Fate::Done,
            (Err(_), Some(known)) if !known.state.is_in_flight() => {
                if is_replaced {
                    Fate::Done
                } else {
                    Fate::Stays
                }
            }
            (_, Some(_)) if self.is_early(subject.job_id, grace) => Fate::Waits,
            (Ok(job), Some(known)) => self.outcome(found, job, known),
            (Err(error), Some(known)) => {
                Fate::FailedAndStays(event(subject, known, failure(error, None)))
            }
        }
    }

    fn is_early(&mut self, job_id: JobId, grace: Duration) -> bool {
        let since = *self.seen.entry(job_id).or_insert_with(Instant::now);
        since.elapsed() < grace
    }

    /// What becomes of a job in flight whose message was parked.
    fn outcome(&self, found: &Found, job: &SeedJob, known: &DeadJob) -> Fate {
        let headers = &found.headers;
        let subject = Subject::of(job);
        let why = match &headers.parked {
            Some(reason) => reason.clone(),
            None => format!("something moved it to {}", Queue::ParkedJobs),
        };
        let reported = headers.parked.is_some() && !headers.dead_lettered;
        let pause = self
            .backoff
            .pause(job.attempt.get())
            .max(Duration::from_millis(1));
        let at = Utc::now() + TimeDelta::from_std(pause).unwrap_or(TimeDelta::MAX);
        if reported || job.attempt.get() >= self.max_attempts || at >= job.deadline {
            warn!(job = %job.job_id, store = %job.scope.store_id, "a parked job has failed: {why}");
            return Fate::Failed(event(&subject, known, failure(&why, None)));
        }
        let mut next = job.clone();
        next.attempt = job.attempt.next();
        match Message::job(&next, headers.trace.clone()) {
            Ok(message) => {
                info!(job = %job.job_id, store = %job.scope.store_id, "a parked job is tried again: {why}");
                let retried = event(&subject, known, failure(&why, Some(at)));
                Fate::Again(retried, Box::new((message, pause)))
            }
            Err(error) => Fate::Failed(event(&subject, known, failure(&error.to_string(), None))),
        }
    }
}

impl Fate {
    fn event(&self) -> Option<&SeedEvent> {
        match self {
            Self::Again(event, _) | Self::Failed(event) | Self::FailedAndStays(event) => {
                Some(event)
            }
            Self::Done | Self::Stays | Self::Waits => None,
        }
    }
}

impl Found {
    fn job_id(&self) -> Option<JobId> {
        self.subject.as_ref().map(|subject| subject.job_id)
    }
}

fn found(delivery: &Delivery) -> Found {
    let job = delivery.message.decode::<SeedJob>();
    let subject = match &job {
        Ok(job) => Some(Subject::of(job)),
        Err(_) => delivery.message.headers.subject.clone(),
    };
    Found {
        headers: delivery.message.headers.clone(),
        job: job.map_err(|error| error.to_string()),
        subject,
    }
}

fn failure(why: &str, retry_at: Option<chrono::DateTime<Utc>>) -> Failure {
    let next = match retry_at {
        Some(_) => "",
        None => "; look at the workers' and RabbitMQ's logs of that time, then seedbed retry",
    };
    Failure {
        kind: FailureKind::Transient,
        step: STEP.to_owned(),
        message: format!("dead-lettered: {why}{next}"),
        retry_at,
    }
}

fn event(subject: &Subject, known: &DeadJob, failure: Failure) -> SeedEvent {
    SeedEvent {
        run_id: subject.run_id,
        job_id: subject.job_id,
        store_id: subject.store_id.clone(),
        attempt: subject.attempt,
        at: Utc::now(),
        worker: known.worker.clone().unwrap_or_default(),
        kind: EventKind::Failed(failure),
        steps: Vec::new(),
    }
}
