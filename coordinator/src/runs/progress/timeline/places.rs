//! Where jobs are in the picture: each on its own, or, if they are too many to be seen, what workers did in each part of the time.

use super::part::Part;

/// Jobs that are drawn each on its own, at most.
pub(super) const MOST_JOBS: usize = 600;

/// Rows of a picture, at most.
pub(super) const MOST_ROWS: usize = 48;

/// Parts of the time, when jobs are drawn together.
pub(super) const BINS: usize = 96;

/// What jobs did in one part of the time: milliseconds by [`Part`].
pub(super) type Bin = [u64; Part::EACH.len()];

/// What is drawn.
#[derive(Debug, Clone)]
pub(super) enum Places {
    /// Each job, in the rows of its worker.
    Jobs {
        /// Workers with the number of their rows, from the top.
        rows: Vec<(String, usize)>,
        /// In the order of their starts.
        jobs: Vec<Placed>,
    },
    /// Rows of one or more workers each.
    Bins(Vec<BinRow>),
}

/// A job in the picture. Times are milliseconds since the start of the run.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) store_id: String,
    /// Its row, from the top of the picture.
    pub(super) row: usize,
    pub(super) from: u64,
    pub(super) until: u64,
    /// When its last attempt began to work, as far as that is known: what is before is pauses and earlier attempts.
    pub(super) work_from: u64,
    pub(super) state: &'static str,
    pub(super) way: &'static str,
    /// Steps with their milliseconds, from `work_from` on.
    pub(super) steps: Vec<(String, u64)>,
}

/// What one or more workers did.
#[derive(Debug, Clone)]
pub(super) struct BinRow {
    pub(super) name: String,
    /// Jobs at a time.
    pub(super) slots: u64,
    pub(super) bins: Vec<Bin>,
}

impl BinRow {
    pub(super) fn new(name: String, slots: u64) -> Self {
        let bins = vec![Bin::default(); BINS];
        Self { name, slots, bins }
    }

    /// Adds work of `part` from `from` until `until`, of a run of `length`.
    pub(super) fn add(&mut self, part: Part, from: u64, until: u64, length: u64) {
        let bins = BINS as u64;
        // Both ends of a bin, so that bins add up to the run whatever its length.
        let edge = |bin: u64| bin * length / bins;
        let first = (from * bins / length.max(1)).min(bins - 1);
        for bin in first..bins {
            let (begin, end) = (edge(bin).max(from), edge(bin + 1).min(until));
            if edge(bin) >= until {
                return;
            }
            self.bins[bin as usize][part as usize] += end.saturating_sub(begin);
        }
    }

    /// Adds what another row of so many slots has.
    pub(super) fn merge(&mut self, other: &Self, slots: u64) {
        self.slots += slots;
        for (bin, more) in self.bins.iter_mut().zip(&other.bins) {
            for (millis, more) in bin.iter_mut().zip(more) {
                *millis += more;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_shared_out_to_the_bins_that_it_touches_and_none_is_lost() {
        for (from, until, length) in [(0, 960, 960), (3, 777, 1_001), (0, 5, 7), (5, 5, 9)] {
            let mut row = BinRow::new("w".to_owned(), 1);
            row.add(Part::Storage, from, until, length);
            let sum: u64 = row.bins.iter().map(|bin| bin[Part::Storage as usize]).sum();
            assert_eq!(sum, until - from, "{from} {until} {length}");
        }
        let mut row = BinRow::new("w".to_owned(), 1);
        row.add(Part::Service, 5, 25, 960);
        let service = |bin: &Bin| bin[Part::Service as usize];
        assert_eq!(
            row.bins[..4].iter().map(service).collect::<Vec<_>>(),
            [5, 10, 5, 0]
        );
    }
}
