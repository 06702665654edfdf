//! Which entries of which buckets a template is made of.

use std::collections::BTreeMap;

use crate::buckets::entry::Entry;

/// Entries, by their buckets. Two sets are the same if the service goes on alike after the same lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(in crate::buckets) struct Set(BTreeMap<String, Member>);

/// What tells an entry from others of its bucket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Member {
    after: i64,
    next: String,
    content: String,
    operations: u64,
    bytes: u64,
}

impl From<&Entry> for Member {
    fn from(entry: &Entry) -> Self {
        Self {
            after: entry.after,
            next: entry.next.clone(),
            content: entry.content.sha256.clone(),
            operations: entry.operations,
            bytes: entry.content.bytes,
        }
    }
}

impl Set {
    /// Returns the set of these entries.
    pub(in crate::buckets) fn of<'a>(entries: impl Iterator<Item = &'a Entry>) -> Self {
        let member = |entry: &Entry| (entry.bucket.clone(), Member::from(entry));
        Self(entries.map(member).collect())
    }

    /// Returns the names of its buckets.
    pub(in crate::buckets) fn buckets(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Returns whether it has an entry of this bucket.
    pub(in crate::buckets) fn has(&self, bucket: &str) -> bool {
        self.0.contains_key(bucket)
    }

    /// Returns each bucket's name and the position of its entry.
    pub(super) fn positions(&self) -> impl Iterator<Item = (&str, i64)> {
        let members = self.0.iter();
        members.map(|(bucket, member)| (bucket.as_str(), member.after))
    }

    /// Returns how many operations its entries have.
    pub(super) fn operations(&self) -> u64 {
        self.0.values().map(|member| member.operations).sum()
    }

    /// Returns how many bytes the lines of its entries have.
    pub(super) fn bytes(&self) -> u64 {
        self.0.values().map(|member| member.bytes).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether `other` has all of its entries.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        let mut members = self.0.iter();
        members.all(|(bucket, member)| other.0.get(bucket) == Some(member))
    }

    /// Returns whether each of its entries is the one that `current` has of the bucket.
    pub(super) fn is_current(&self, current: impl Fn(&str) -> Option<Entry>) -> bool {
        let is_current = |(bucket, member): (&String, &Member)| {
            current(bucket).is_some_and(|entry| Member::from(&entry) == *member)
        };
        self.0.iter().all(is_current)
    }

    /// Returns the entries that both have.
    pub(super) fn common(&self, other: &Self) -> Self {
        let members = self.0.iter();
        let common = members.filter(|(bucket, member)| other.0.get(*bucket) == Some(*member));
        let common = common.map(|(bucket, member)| (bucket.clone(), member.clone()));
        Self(common.collect())
    }
}
