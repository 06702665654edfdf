//! The databases that a worker's jobs may start from, made of what it has of the cache.

use std::{collections::HashMap, sync::Arc};

use seedbed_protocol::manifest::Checkpoint;

use crate::buckets::{
    cache::BucketCache,
    near::Kept,
    template::{Material, Set, Template, TemplateError},
};

/// How their names end.
const DATABASE: &str = "sqlite";

impl BucketCache {
    /// Returns a database that a job may start from which claims these entries, and whose store has so many operations.
    pub(in crate::buckets) async fn template(
        &self,
        claims: &HashMap<String, Kept>,
        operations: u64,
    ) -> Option<Arc<Template>> {
        let claimed = Set::of(claims.values().map(|kept| &kept.entry));
        let gather = async |set: Set| {
            let mut sources = Vec::new();
            for kept in set.buckets().filter_map(|bucket| claims.get(bucket)) {
                sources.push((kept.entry.clone(), self.lines(kept).await?));
            }
            let near = self.near();
            let files = (near.new_file(DATABASE)?, near.new_file(DATABASE)?);
            Ok::<_, TemplateError>(Material { sources, files })
        };
        let template = self.templates.get(&claimed, operations, gather).await;
        self.near().leave_room(self.templates.bytes());
        template
    }

    /// Drops a template that is of no use.
    pub(crate) fn refuse_template(&self, template: &Template, error: &TemplateError) {
        self.templates.refuse(template, error);
    }

    /// Returns how many operations of a store at `checkpoint` are in a template already.
    pub(crate) fn prepared(&self, checkpoint: &Checkpoint) -> u64 {
        let buckets = &checkpoint.buckets;
        let has = |name: &str| buckets.iter().any(|bucket| bucket.bucket == name);
        self.templates.prepared(has)
    }
}
