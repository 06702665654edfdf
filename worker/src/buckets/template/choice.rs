//! Which template a job starts from, and when it pays to make one.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use tokio::sync::OnceCell;

use super::{prepared::Template, set::Set};
use crate::snapshot::is_in_order;

/// What it costs to write an operation into a new file, in bulk, and to verify and store it. All other costs are relative to it; they
/// were measured by the benchmark `shared_buckets`, with 5,000, 20,000 and 100,000 operations.
const IN_BULK: u64 = 10;

/// What an operation costs that is added to a template.
const ON_TOP: u64 = 40;

/// What an operation of a template costs each job that starts from it.
const COPIED: u64 = 6;

/// What each operation of a file costs that is written in order once more, since much was added to it.
const IN_ORDER: u64 = 4;

/// A template is made if it saves so many stores what it costs.
const PAYS_WITHIN: u64 = 4;

/// So many sets are remembered.
const SEEN: usize = 16;

/// What becomes of making a template, once for all who wait: none if it could not be made.
pub(super) type Cell = Arc<OnceCell<Option<Arc<Template>>>>;

/// The templates of one worker, and what jobs could have started from.
#[derive(Debug)]
pub(in crate::buckets) struct Choice {
    most_bytes: u64,
    least_operations: u64,
    slots: HashMap<Set, Slot>,
    /// What jobs have taken from the cache, the latest last.
    seen: VecDeque<Set>,
    uses: u64,
}

#[derive(Debug, Default)]
struct Slot {
    cell: Cell,
    /// When it was last used, by a counter.
    used: u64,
}

impl Slot {
    fn made(&self) -> Option<&Arc<Template>> {
        self.cell.get().and_then(Option::as_ref)
    }

    /// Returns whether it is made, or will be.
    fn is_of_use(&self) -> bool {
        !self.cell.initialized() || self.made().is_some()
    }
}

impl Choice {
    /// Keeps at most so many bytes of templates, each with at least so many operations.
    pub(in crate::buckets) fn new(most_bytes: u64, least_operations: u64) -> Self {
        Self {
            most_bytes,
            least_operations,
            slots: HashMap::new(),
            seen: VecDeque::new(),
            uses: 0,
        }
    }

    /// Chooses what a job starts from that could take the entries `claimed` from the cache, and whose store has so many
    /// operations: what costs least of what there is, or what was seen before and pays to be made.
    pub(super) fn choose(&mut self, claimed: &Set, operations: u64) -> Option<(Set, Cell)> {
        let cost = |set: &&Set| cost_on(set.operations(), operations);
        let usable = self
            .slots
            .iter()
            .filter(|(set, slot)| slot.is_of_use() && set.is_within(claimed));
        let known = usable.map(|(set, _)| set).min_by_key(cost);
        let known = known.filter(|set| cost(set) < cost_in_bulk(operations));
        let least = known.as_ref().map_or(cost_in_bulk(operations), cost);
        let wanted = self.seen.iter().map(|seen| seen.common(claimed));
        let wanted = wanted.filter(|set| {
            !set.is_empty()
                && set.operations() >= self.least_operations
                && !self.slots.contains_key(set)
                // A database has about as many bytes as the lines that it is made of.
                && set.bytes() <= self.most_bytes
        });
        let wanted = wanted.min_by_key(|set| cost(&set));
        let pays = |set: &Set| {
            let saved = least.saturating_sub(cost(&set));
            saved * PAYS_WITHIN >= cost_in_bulk(set.operations())
        };
        let chosen = wanted.filter(pays).or_else(|| known.cloned())?;
        self.uses += 1;
        let slot = self.slots.entry(chosen.clone()).or_default();
        slot.used = self.uses;
        Some((chosen, slot.cell.clone()))
    }

    /// Notes that a job has taken these entries from the cache.
    pub(super) fn took(&mut self, set: Set) {
        if set.is_empty() {
            return;
        }
        self.seen.retain(|seen| *seen != set);
        if self.seen.len() >= SEEN {
            self.seen.pop_front();
        }
        self.seen.push_back(set);
    }

    /// Returns how many operations the largest template has whose buckets are all among those of a store.
    pub(super) fn prepared(&self, has_bucket: impl Fn(&str) -> bool) -> u64 {
        let made = self.slots.values().filter_map(Slot::made);
        let usable = made.filter(|template| template.set().buckets().all(&has_bucket));
        usable
            .map(|template| template.operations())
            .max()
            .unwrap_or_default()
    }

    /// Makes room: removes what was not used for the longest time. One that needs more than there is alone is not made again.
    pub(super) fn make_room(&mut self) {
        while self.bytes() > self.most_bytes {
            let made = self.slots.iter().filter(|(_, slot)| slot.made().is_some());
            let Some((oldest, slot)) = made.min_by_key(|(_, slot)| slot.used) else {
                return;
            };
            let is_too_large = slot
                .made()
                .is_some_and(|template| template.bytes > self.most_bytes);
            let oldest = oldest.clone();
            match self.slots.get_mut(&oldest) {
                Some(slot) if is_too_large => slot.cell = Arc::new(OnceCell::new_with(Some(None))),
                _ => drop(self.slots.remove(&oldest)),
            }
        }
    }

    /// Removes a template that is of no use; it is not made again of the same entries.
    pub(super) fn refuse(&mut self, template: &Template) {
        if let Some(slot) = self.slots.get_mut(template.set()) {
            slot.cell = Arc::new(OnceCell::new_with(Some(None)));
        }
    }

    /// Forgets everything whose entries are not current any more; returns how many templates there were.
    pub(super) fn forget(&mut self, is_current: impl Fn(&Set) -> bool) -> usize {
        let before = self.made();
        self.slots.retain(|set, _| is_current(set));
        self.seen.retain(|set| is_current(set));
        before - self.made()
    }

    /// Returns the size of all templates in bytes.
    pub(super) fn bytes(&self) -> u64 {
        let made = self.slots.values().filter_map(Slot::made);
        made.map(|template| template.bytes).sum()
    }

    fn made(&self) -> usize {
        self.slots.values().filter_map(Slot::made).count()
    }
}

fn cost_in_bulk(operations: u64) -> u64 {
    operations * IN_BULK
}

/// Returns what a store of so many operations costs on a template that has some of them.
fn cost_on(prepared: u64, operations: u64) -> u64 {
    let added = operations.saturating_sub(prepared);
    let in_order = match is_in_order(added, operations) {
        true => 0,
        false => operations * IN_ORDER,
    };
    prepared * COPIED + added * ON_TOP + in_order
}

#[cfg(test)]
mod tests {
    use seedbed_protocol::digest::Hashed;

    use super::*;
    use crate::buckets::entry::Entry;

    fn set(buckets: &[(&str, u64)]) -> Set {
        let entries: Vec<Entry> = buckets
            .iter()
            .map(|(bucket, operations)| {
                let content = Hashed {
                    bytes: operations * 100,
                    sha256: format!("{bucket}-{operations}"),
                };
                Entry::new(
                    "http://a",
                    bucket,
                    (7, "next".to_owned()),
                    *operations,
                    content,
                )
            })
            .collect();
        Set::of(entries.iter())
    }

    fn chosen(choice: &mut Choice, claimed: &Set, operations: u64) -> Option<Set> {
        choice.choose(claimed, operations).map(|(set, _)| set)
    }

    #[test]
    fn one_is_made_for_the_second_store_that_takes_the_same_if_it_saves_what_it_costs() {
        let mut choice = Choice::new(1 << 30, 1_000);
        let shared = set(&[("1#all[]", 100_000)]);
        assert_eq!(chosen(&mut choice, &shared, 100_100), None);
        choice.took(shared.clone());
        // Most of the store's rows would have to be added one by one.
        assert_eq!(chosen(&mut choice, &shared, 200_000), None);
        assert_eq!(chosen(&mut choice, &shared, 100_100), Some(shared.clone()));
        // Whoever comes while it is made waits for the same.
        let (_, first) = choice.choose(&shared, 100_100).unwrap();
        let (_, second) = choice.choose(&shared, 100_100).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        // It could not be made: nobody tries again before an entry has changed.
        first.set(None).unwrap();
        assert_eq!(chosen(&mut choice, &shared, 100_100), None);
        assert_eq!(choice.forget(|_| false), 0);
        choice.took(shared.clone());
        assert_eq!(chosen(&mut choice, &shared, 100_100), Some(shared));
    }

    #[test]
    fn what_many_have_in_common_is_made_and_not_a_set_for_each_group() {
        let mut choice = Choice::new(1 << 30, 1_000);
        let group = |group: &str| set(&[("1#all[]", 100_000), (group, 1_000)]);
        choice.took(group("1#group[1]"));
        let all = set(&[("1#all[]", 100_000)]);
        let made = chosen(&mut choice, &group("1#group[2]"), 101_100);
        assert_eq!(made, Some(all.clone()));
        // Adding a group's rows costs less than making another template with them.
        choice.took(group("1#group[2]"));
        assert_eq!(
            chosen(&mut choice, &group("1#group[2]"), 101_100),
            Some(all)
        );
    }

    #[test]
    fn small_sets_large_ones_and_other_positions_are_left() {
        let mut choice = Choice::new(3_000_000, 10_000);
        let (small, large) = (set(&[("1#a[]", 5_000)]), set(&[("1#b[]", 40_000)]));
        choice.took(small.clone());
        choice.took(large.clone());
        assert_eq!(chosen(&mut choice, &small, 5_010), None);
        assert_eq!(chosen(&mut choice, &large, 40_100), None);
        let fitting = set(&[("1#c[]", 25_000)]);
        choice.took(fitting.clone());
        let newer = set(&[("1#c[]", 25_001)]);
        assert_eq!(chosen(&mut choice, &newer, 25_100), None);
        assert_eq!(chosen(&mut choice, &fitting, 25_100), Some(fitting));
    }
}
