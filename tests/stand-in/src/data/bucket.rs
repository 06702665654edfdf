//! One bucket's history of operations, and its compaction.

use crate::data::row::RowRef;
use std::collections::HashSet;

/// One operation of a bucket's history.
#[derive(Debug, Clone)]
pub(crate) struct Op {
    pub(crate) op_id: u64,
    pub(crate) checksum: u32,
    pub(crate) action: Action,
}

impl Op {
    /// The bytes of row text that the operation carries.
    pub(crate) fn text_len(&self) -> usize {
        match &self.action {
            Action::Put(row) => row.text_len(),
            Action::Remove(_) | Action::Move | Action::Clear => 0,
        }
    }
}

/// What an operation does.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// The row has this content now.
    Put(RowRef),
    /// The row has left the bucket.
    Remove(RowRef),
    /// Superseded by a later operation on the same row; only the checksum is left.
    Move,
    /// Everything up to here amounts to nothing; the checksum sums it up.
    Clear,
}

/// A bucket: its operations by ascending id, and the running totals a checkpoint shows.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    ops: Vec<Op>,
    checksum: u32,
    count: u64,
}

impl Bucket {
    /// Appends an operation; ids must ascend.
    pub(crate) fn push(&mut self, op_id: u64, checksum: u32, action: Action) {
        self.checksum = self.checksum.wrapping_add(checksum);
        self.count += 1;
        self.ops.push(Op {
            op_id,
            checksum,
            action,
        });
    }

    /// The sum of all operations' checksums modulo 2^32.
    pub(crate) fn checksum(&self) -> u32 {
        self.checksum
    }

    /// The number of operations ever written. Compaction does not correct it, as a real service's does not until
    /// it restarts (powersync-service 1.25.0).
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The operations with ids in `after+1..=up_to`.
    pub(crate) fn between(&self, after: u64, up_to: u64) -> &[Op] {
        let start = self.ops.partition_point(|op| op.op_id <= after);
        let end = self.ops.partition_point(|op| op.op_id <= up_to);
        self.ops.get(start..end).unwrap_or_default()
    }

    /// What the service's compaction does: superseded operations become MOVE, and a leading run that leaves no row
    /// becomes one CLEAR. The checksum stays the same.
    pub(crate) fn compact(&mut self) {
        let mut seen = HashSet::new();
        for op in self.ops.iter_mut().rev() {
            if let Action::Put(row) | Action::Remove(row) = &op.action
                && !seen.insert(row.key())
            {
                op.action = Action::Move;
            }
        }
        let leading = self
            .ops
            .iter()
            .take_while(|op| !matches!(op.action, Action::Put(_)))
            .count();
        if let Some(last) = leading.checked_sub(1) {
            let checksum = self.ops[..leading]
                .iter()
                .fold(0_u32, |sum, op| sum.wrapping_add(op.checksum));
            let op_id = self.ops[last].op_id;
            self.ops.splice(
                ..leading,
                [Op {
                    op_id,
                    checksum,
                    action: Action::Clear,
                }],
            );
        }
        self.ops.shrink_to_fit();
    }
}
