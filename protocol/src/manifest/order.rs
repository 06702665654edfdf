//! Which of two snapshots of one store is the newer one.
//!
//! Job ids sort by the clocks of coordinators, and one may be wrong: after a restore from a backup, a later job may have
//! an earlier id. Op ids only grow within one service instance and generation of its sync config, but start again when
//! the service is set up anew. So where the two disagree, what else is known decides which of them to believe.

use std::{cmp::Ordering, fmt};

use chrono::{DateTime, Utc};

use super::{
    checkpoint::{BucketCheckpoint, Checkpoint},
    record::Manifest,
    way::Origin,
};

/// A snapshot, and when it was written by a clock that is not the coordinators'.
#[derive(Debug, Clone, Copy)]
pub struct Dated<'a> {
    /// The snapshot.
    pub manifest: &'a Manifest,
    /// When the object storage wrote it, or when its worker was done.
    pub written_at: DateTime<Utc>,
}

/// How two snapshots are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotOrder {
    /// [`Ordering::Greater`] if the first is newer.
    pub ordering: Ordering,
    /// Whether the ids of their jobs say otherwise: the clocks that made them disagree.
    pub clocks_disagree: bool,
}

/// Says of two snapshots that the ids of their jobs are in the wrong order.
pub struct DisagreeingClocks<'a>(pub &'a Manifest, pub &'a Manifest);

impl fmt::Display for DisagreeingClocks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(one, other) = self;
        let (newer, older) = match one.checkpoint.last_op_id < other.checkpoint.last_op_id {
            true => (other, one),
            false => (one, other),
        };
        write!(
            f,
            "clocks of coordinators disagree about the store {:?}: the job {} of {} has a newer checkpoint ({}) than \
             the job {} of {} ({}), which counts; set their clocks",
            newer.store_id.as_str(),
            newer.job_id,
            newer.job_id.made_at(),
            newer.checkpoint.last_op_id,
            older.job_id,
            older.job_id.made_at(),
            older.checkpoint.last_op_id
        )
    }
}

impl<'a> From<&'a Manifest> for Dated<'a> {
    /// Takes the time of the worker that made it.
    fn from(manifest: &'a Manifest) -> Self {
        Self {
            manifest,
            written_at: manifest.created_at,
        }
    }
}

impl Dated<'_> {
    /// Returns how this snapshot and `other`, of the same store, are ordered: by checkpoint within one service instance
    /// and generation, else by job.
    pub fn order(&self, other: &Dated<'_>) -> SnapshotOrder {
        let (a, b) = (self.manifest, other.manifest);
        let by_job = (a.job_id, a.attempt).cmp(&(b.job_id, b.attempt));
        let by_checkpoint = a.checkpoint.last_op_id.cmp(&b.checkpoint.last_op_id);
        let clocks_disagree = a.job_id != b.job_id
            && by_checkpoint == by_job.reverse()
            && a.powersync_endpoint == b.powersync_endpoint
            && same_generation(&a.checkpoint, &b.checkpoint)
            && op_ids_go_on(self, other, by_checkpoint);
        SnapshotOrder {
            ordering: if clocks_disagree {
                by_checkpoint
            } else {
                by_job
            },
            clocks_disagree,
        }
    }
}

/// Whether both checkpoints are of one service instance, whose op ids say what is newer.
fn op_ids_go_on(a: &Dated<'_>, b: &Dated<'_>, by_checkpoint: Ordering) -> bool {
    let (newer, older) = match by_checkpoint {
        Ordering::Less => (b, a),
        _ => (a, b),
    };
    if has_gone_back(&older.manifest.checkpoint, &newer.manifest.checkpoint) {
        return false;
    }
    continue_each_other(a.manifest, b.manifest) || newer.written_at > older.written_at
}

/// Whether a bucket has come less far in `newer` than in `older`, or as far with another content: then the service was
/// set up anew in between.
fn has_gone_back(older: &Checkpoint, newer: &Checkpoint) -> bool {
    let bucket = |bucket: &BucketCheckpoint| {
        let found = newer
            .buckets
            .binary_search_by(|b| b.bucket.cmp(&bucket.bucket));
        found.ok().map(|index| &newer.buckets[index])
    };
    older.buckets.iter().any(|old| {
        bucket(old).is_some_and(|new| {
            new.last_op < old.last_op || new.last_op == old.last_op && new.checksum != old.checksum
        })
    })
}

/// Whether one was made from the other, or both from the same base. A base is continued only with the operations of the
/// service that it came from: others do not add up.
fn continue_each_other(a: &Manifest, b: &Manifest) -> bool {
    let base = |manifest: &Manifest| match manifest.origin {
        Origin::Base { job_id, .. } => Some(job_id),
        Origin::Full { .. } => None,
    };
    let (of_a, of_b) = (base(a), base(b));
    of_a == Some(b.job_id) || of_b == Some(a.job_id) || of_a.is_some() && of_a == of_b
}

/// Whether both name their buckets after the same version of the sync config (`3#products["7"]`).
fn same_generation(a: &Checkpoint, b: &Checkpoint) -> bool {
    let generation = |checkpoint: &Checkpoint| {
        let mut names = checkpoint
            .buckets
            .iter()
            .map(|bucket| bucket.bucket.as_str());
        let first = names.next()?.split_once('#')?.0.to_owned();
        let same = |name: &str| name.split_once('#').is_some_and(|(n, _)| n == first);
        names.all(same).then_some(first)
    };
    let of_a = generation(a);
    of_a.is_some() && of_a == generation(b)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::ids::{Attempt, JobId, OpId, RunId, StoreId};

    /// A snapshot with the job id of one clock, the op id of the service, and the time of another clock, in minutes.
    fn snapshot(job: i64, op: i64, written: i64) -> Manifest {
        let start = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let at = |minutes: i64| start + TimeDelta::minutes(minutes);
        let millis = u128::try_from(at(job).timestamp_millis()).unwrap();
        let bucket = |name: &str, last_op: i64| BucketCheckpoint {
            bucket: name.to_owned(),
            last_op: OpId(last_op),
            checksum: 7,
            priority: 3,
            operations: 1,
        };
        Manifest {
            run_id: RunId::new(),
            job_id: JobId::from_uuid(uuid::Uuid::from_u128(millis << 80)),
            store_id: StoreId::new("7").unwrap(),
            attempt: Attempt::FIRST,
            created_at: at(written),
            powersync_endpoint: "https://powersync".to_owned(),
            core_version: String::new(),
            internal_schema_version: 1,
            schema_fingerprint: String::new(),
            selection_fingerprint: String::new(),
            origin: Origin::default(),
            checkpoint: Checkpoint {
                last_op_id: OpId(op),
                buckets: vec![bucket("3#a", 1), bucket("3#b", op)],
            },
            tables: Vec::new(),
            renditions: Vec::new(),
            download: super::super::Download::default(),
            steps: Vec::new(),
            trace_id: None,
            forms: Vec::new(),
            sealed: Vec::new(),
            sealed_key: None,
            notes: crate::manifest::Notes::default(),
        }
    }

    /// Whether the first is newer, and whether clocks disagree about it. The other way round is the same.
    fn order(a: &Manifest, b: &Manifest) -> (bool, bool) {
        let order = Dated::from(a).order(&b.into());
        let reverse = Dated::from(b).order(&a.into());
        assert_eq!(reverse.ordering, order.ordering.reverse());
        assert_eq!(reverse.clocks_disagree, order.clocks_disagree);
        (order.ordering == Ordering::Greater, order.clocks_disagree)
    }

    #[test]
    fn the_later_job_is_newer() {
        assert_eq!(
            order(&snapshot(5, 20, 5), &snapshot(0, 10, 0)),
            (true, false)
        );
        assert_eq!(
            order(&snapshot(5, 10, 5), &snapshot(0, 10, 0)),
            (true, false)
        );
        // A clock of a worker is behind.
        assert_eq!(
            order(&snapshot(5, 20, -9), &snapshot(0, 10, 0)),
            (true, false)
        );
    }

    #[test]
    fn a_coordinator_with_a_clock_behind_makes_the_newer_snapshot_all_the_same() {
        assert_eq!(
            order(&snapshot(-5, 20, 5), &snapshot(0, 10, 0)),
            (true, true)
        );
    }

    #[test]
    fn op_ids_that_start_again_belong_to_a_service_that_was_set_up_anew() {
        assert_eq!(
            order(&snapshot(5, 3, 5), &snapshot(0, 10, 0)),
            (true, false)
        );
        // Whatever the clock of the worker says, when a bucket has gone back.
        let mut anew = snapshot(5, 3, -9);
        anew.checkpoint.buckets[0].last_op = OpId(2);
        assert_eq!(order(&anew, &snapshot(0, 10, 0)), (true, false));
    }

    #[test]
    fn another_endpoint_or_generation_is_ordered_by_job() {
        let newer = snapshot(0, 10, 0);
        let mut elsewhere = snapshot(-5, 20, 5);
        elsewhere.powersync_endpoint = "https://other".to_owned();
        assert_eq!(order(&newer, &elsewhere), (true, false));
        let mut config = snapshot(-5, 20, 5);
        for bucket in &mut config.checkpoint.buckets {
            bucket.bucket = bucket.bucket.replace('3', "4");
        }
        assert_eq!(order(&newer, &config), (true, false));
    }

    #[test]
    fn what_continues_the_same_base_is_of_the_same_service() {
        // Every clock of the machine is behind.
        let (mut one, mut two) = (snapshot(0, 10, 0), snapshot(-5, 20, -5));
        assert_eq!(order(&two, &one), (false, false));
        for manifest in [&mut one, &mut two] {
            manifest.origin = Origin::Base {
                job_id: snapshot(-99, 1, -99).job_id,
                full_at: manifest.created_at,
                loose_operations: 0,
            };
        }
        assert_eq!(order(&two, &one), (true, true));
    }
}
