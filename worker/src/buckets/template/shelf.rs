//! The templates of one worker: each is made once, for all jobs that wait for it, and kept within a number of bytes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::info;

use super::{
    choice::Choice,
    prepare::{Preparing, Source},
    prepared::{Template, TemplateError},
    set::Set,
};
use crate::{
    buckets::{entry::Entry, near::CachedFile},
    metrics::Metrics,
};

/// What a template is made of, and where.
pub(in crate::buckets) struct Material {
    pub(in crate::buckets) sources: Vec<Source>,
    pub(in crate::buckets) files: (CachedFile, CachedFile),
}

/// The templates of one worker.
#[derive(Debug)]
pub(in crate::buckets) struct Shelf {
    choice: Mutex<Choice>,
    preparing: Preparing,
    metrics: Arc<Metrics>,
}

impl Shelf {
    /// Keeps what `choice` says.
    pub(in crate::buckets) fn new(
        choice: Choice,
        preparing: Preparing,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            choice: Mutex::new(choice),
            preparing,
            metrics,
        }
    }

    fn choice(&self) -> MutexGuard<'_, Choice> {
        self.choice.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what a job starts from that could take the entries `claimed` from the cache, and whose store has so many
    /// operations; `None` if it starts from nothing. Makes it of what `gather` returns, or waits for the job that does: that
    /// is done again by another one if the first is abandoned.
    pub(in crate::buckets) async fn get<F>(
        &self,
        claimed: &Set,
        operations: u64,
        gather: impl FnOnce(Set) -> F,
    ) -> Option<Arc<Template>>
    where
        F: Future<Output = Result<Material, TemplateError>>,
    {
        let (set, cell) = self.choice().choose(claimed, operations)?;
        let making = move || async move {
            let made = async {
                let Material { sources, files } = gather(set).await?;
                self.preparing.prepare(&sources, files).await
            };
            // On the heap: it is a job within a job.
            match Box::pin(made).await {
                Ok(template) => {
                    self.metrics.template_made();
                    Some(Arc::new(template))
                }
                Err(error) => {
                    self.note(&error);
                    None
                }
            }
        };
        let template = cell.get_or_init(making).await.clone();
        self.choice().make_room();
        template
    }

    /// Notes that a job has taken these entries from the cache.
    pub(in crate::buckets) fn took<'a>(&self, entries: impl Iterator<Item = &'a Entry>) {
        self.choice().took(Set::of(entries));
    }

    /// Counts a job that has started from a template.
    pub(in crate::buckets) fn used(&self, template: &Template) {
        self.metrics.template_used(template.operations());
    }

    /// Returns how many operations the largest template has whose buckets are all among those of a store.
    pub(in crate::buckets) fn prepared(&self, has_bucket: impl Fn(&str) -> bool) -> u64 {
        self.choice().prepared(has_bucket)
    }

    /// Drops a template that is of no use.
    pub(in crate::buckets) fn refuse(&self, template: &Template, error: &TemplateError) {
        self.choice().refuse(template);
        self.note(error);
    }

    fn note(&self, error: &TemplateError) {
        info!("a database that is prepared with shared buckets is dropped: {error}");
        self.metrics.template_dropped(error.name());
    }

    /// Drops the templates with an entry that is not `current` any more.
    pub(in crate::buckets) fn forget(&self, current: impl Fn(&str) -> Option<Entry>) {
        let forgotten = self.choice().forget(|set| set.is_current(&current));
        for _ in 0..forgotten {
            self.metrics.template_dropped("stale");
        }
    }

    /// Returns the size of all templates in bytes.
    pub(in crate::buckets) fn bytes(&self) -> u64 {
        self.choice().bytes()
    }
}
