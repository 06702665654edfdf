//! Which buckets may be those of several stores. Keeping one that is not costs a little, so a definition whose buckets turn
//! out to be one store's alone is left alone.

use std::collections::HashMap;

/// A definition is given up after so many of its buckets were kept for nobody else.
const KEPT_FOR_NOBODY: u32 = 3;

/// So many buckets are remembered.
const REMEMBERED: usize = 100_000;

/// What this worker knows about who has which buckets.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    /// The first store that had a bucket.
    first: HashMap<String, String>,
    /// How many buckets of a definition were kept before a second store had one of them.
    kept: HashMap<String, u32>,
}

impl Candidates {
    /// Notes that `store` has this bucket, and returns whether to keep its operations.
    pub(super) fn is_one(&mut self, bucket: &str, store: &str) -> bool {
        let definition = definition(bucket);
        if let Some(first) = self.first.get(bucket) {
            if first != store {
                self.kept.remove(definition);
                return true;
            }
        } else {
            if self.first.len() >= REMEMBERED {
                self.first.clear();
            }
            self.first.insert(bucket.to_owned(), store.to_owned());
        }
        if names(bucket, store) {
            return false;
        }
        self.kept.get(definition).copied().unwrap_or_default() < KEPT_FOR_NOBODY
    }

    /// Notes that this bucket is kept.
    pub(super) fn keeps(&mut self, bucket: &str) {
        *self.kept.entry(definition(bucket).to_owned()).or_default() += 1;
    }

    /// Notes that another store has used what was kept of this bucket.
    pub(super) fn used(&mut self, bucket: &str) {
        self.kept.remove(definition(bucket));
    }
}

/// Returns the part of a bucket's name that says which rows it has, before its parameters.
fn definition(bucket: &str) -> &str {
    bucket
        .split_once('[')
        .map_or(bucket, |(definition, _)| definition)
}

/// Returns whether one of a bucket's parameters is this store's id.
fn names(bucket: &str, store: &str) -> bool {
    let parameters = bucket.find('[').map_or("", |start| &bucket[start..]);
    match serde_json::from_str::<Vec<serde_json::Value>>(parameters) {
        Ok(parameters) => parameters.iter().any(|parameter| match parameter {
            serde_json::Value::String(text) => text == store,
            serde_json::Value::Number(number) => number.to_string() == store,
            _ => false,
        }),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stores_own_buckets_are_not_kept_and_shared_ones_are() {
        let mut candidates = Candidates::default();
        assert!(!candidates.is_one("1#own[\"7\"]", "7"));
        assert!(!candidates.is_one("2#own|0[7,\"x\"]", "7"));
        assert!(candidates.is_one("1#all[]", "7"));
        // What two stores have is shared, whatever it is called.
        assert!(candidates.is_one("1#own[\"7\"]", "8"));
    }

    #[test]
    fn a_definition_whose_buckets_nobody_shares_is_given_up() {
        let mut candidates = Candidates::default();
        for user in 0..3 {
            let bucket = format!("1#by_user[\"u{user}\"]");
            assert!(candidates.is_one(&bucket, &user.to_string()));
            candidates.keeps(&bucket);
        }
        assert!(!candidates.is_one("1#by_user[\"u9\"]", "9"));
        assert!(candidates.is_one("1#by_user[\"u9\"]", "10"));
        assert!(candidates.is_one("1#by_user[\"u11\"]", "11"));
    }
}
