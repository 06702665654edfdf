//! What kept a run from ending sooner, in one sentence, by a few rules whose order is their weight.

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    part::Part,
    scale::{percent, spoken},
};

/// Busy for less than so many hundredths of their time, workers did not bound a run.
const BUSY: u64 = 50;

/// From so many hundredths of all time on, one job, or the time before the first one, bounded a run.
const MOST: u64 = 60;

/// What kept a run from ending sooner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bound {
    /// The kind.
    pub by: BoundBy,
    /// It in a sentence, with the numbers behind it.
    pub sentence: String,
}

/// What can bound a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BoundBy {
    /// No job has started.
    Nothing,
    /// The first job started late.
    Start,
    /// Pauses before retries.
    Retries,
    /// The job of one store.
    Store,
    /// There were fewer jobs than slots.
    Jobs,
    /// The PowerSync service.
    Service,
    /// The workers' processors and disks.
    Workers,
    /// Object storage.
    Storage,
    /// Steps that are not known.
    Unknown,
}

/// The numbers behind it. Times are milliseconds.
#[derive(Debug, Clone, Default)]
pub(super) struct Measured<'a> {
    /// Of the whole run.
    pub(super) length: u64,
    /// From the start of the run to that of its first job.
    pub(super) before_first: u64,
    /// From the first start to the last end.
    pub(super) span: u64,
    /// Jobs that were started.
    pub(super) started: u64,
    /// Of all jobs together, from start to end.
    pub(super) jobs_took: u64,
    /// What of that was no work: pauses before retries.
    pub(super) paused: u64,
    /// What slots could have worked within the span.
    pub(super) capacity: u64,
    /// The slowest job, and its store.
    pub(super) longest: u64,
    pub(super) longest_store: &'a str,
    /// Work by part.
    pub(super) parts: [u64; Part::EACH.len()],
}

impl Measured<'_> {
    /// Decides.
    pub(super) fn bound(&self) -> Bound {
        let Self {
            length,
            before_first,
            span,
            longest,
            ..
        } = *self;
        let busy = percent(self.jobs_took.saturating_sub(self.paused), self.capacity).min(100);
        let (by, sentence) = if self.started == 0 {
            let sentence = "Nothing has started yet: is there a worker?".to_owned();
            (BoundBy::Nothing, sentence)
        } else if percent(before_first, length) >= MOST {
            let sentence = format!(
                "Bounded by the start: the first job began after {} of {}. Were there workers, and did the broker deliver?",
                spoken(before_first),
                spoken(length)
            );
            (BoundBy::Start, sentence)
        } else if percent(self.paused, self.jobs_took) >= BUSY {
            let sentence = format!(
                "Bounded by retries: jobs spent {} % of their time in pauses after failed attempts.",
                percent(self.paused, self.jobs_took)
            );
            (BoundBy::Retries, sentence)
        } else if self.started > 1 && busy < BUSY && percent(longest, span) >= MOST {
            let sentence = format!(
                "Bounded by one store: {} took {} of {}, while workers were busy for {busy} % of the time.",
                self.longest_store,
                spoken(longest),
                spoken(span)
            );
            (BoundBy::Store, sentence)
        } else if busy < BUSY {
            let sentence = format!(
                "Bounded by too few jobs at a time: workers were idle for {} % of it. Fewer slots would do the same.",
                100 - busy
            );
            (BoundBy::Jobs, sentence)
        } else {
            self.by_part(busy)
        };
        Bound { by, sentence }
    }

    /// Workers were busy: with what?
    fn by_part(&self, busy: u64) -> (BoundBy, String) {
        let parts = Part::EACH.into_iter().zip(self.parts);
        let (part, most) = parts
            .max_by_key(|(_, millis)| *millis)
            .unwrap_or((Part::Unknown, 0));
        let share = percent(most, self.parts.iter().sum());
        let while_busy =
            format!("workers were busy for {busy} % of the time, with {share} % of it");
        match part {
            Part::Service => (
                BoundBy::Service,
                format!(
                    "Bounded by the service: {while_busy} in compare and sync, which wait for PowerSync. More slots help until it is at its limit."
                ),
            ),
            Part::Worker => (
                BoundBy::Workers,
                format!(
                    "Bounded by the workers: {while_busy} in steps on their processors and disks. More workers would end it sooner."
                ),
            ),
            Part::Storage => (
                BoundBy::Storage,
                format!(
                    "Bounded by the storage: {while_busy} in fetch and upload. Is the object storage near, and fast enough?"
                ),
            ),
            Part::Unknown => (
                BoundBy::Unknown,
                format!(
                    "Bounded by what was not reported: {while_busy} in steps that are not known yet."
                ),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten jobs of a second on one slot.
    fn usual() -> Measured<'static> {
        Measured {
            length: 10_500,
            before_first: 500,
            span: 10_000,
            started: 10,
            jobs_took: 10_000,
            paused: 0,
            capacity: 10_000,
            longest: 1_500,
            longest_store: "store-1",
            parts: [6_000, 3_000, 1_000, 0],
        }
    }

    fn by(measured: &Measured<'_>) -> BoundBy {
        measured.bound().by
    }

    #[test]
    fn the_part_that_busy_workers_spent_most_time_with_bounds_a_run() {
        let bound = usual().bound();
        assert_eq!(bound.by, BoundBy::Service);
        assert!(bound.sentence.starts_with(
            "Bounded by the service: workers were busy for 100 % of the time, with 60 % of it"
        ));
        let of = |parts| by(&Measured { parts, ..usual() });
        assert_eq!(of([1, 5, 2, 0]), BoundBy::Workers);
        assert_eq!(of([1, 2, 5, 0]), BoundBy::Storage);
        assert_eq!(of([1, 2, 3, 5]), BoundBy::Unknown);
    }

    #[test]
    fn what_keeps_workers_idle_bounds_a_run() {
        let nothing = Measured {
            length: 10,
            ..Measured::default()
        };
        assert_eq!(by(&nothing), BoundBy::Nothing);
        let late = Measured {
            length: 30_000,
            before_first: 20_000,
            ..usual()
        };
        assert_eq!(by(&late), BoundBy::Start);
        let failing = Measured {
            paused: 6_000,
            ..usual()
        };
        assert_eq!(by(&failing), BoundBy::Retries);
        let idle = Measured {
            capacity: 40_000,
            ..usual()
        };
        assert_eq!(by(&idle), BoundBy::Jobs);
        let one_store = Measured {
            longest: 9_000,
            ..idle
        };
        let bound = one_store.bound();
        assert_eq!(bound.by, BoundBy::Store);
        assert!(
            bound.sentence.contains("store-1 took 9s of 10s"),
            "{}",
            bound.sentence
        );
    }
}
