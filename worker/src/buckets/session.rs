//! The cache in one job: what its requests claim, what it takes from the cache, what its log begins with, and what it fills.

mod fills;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use seedbed_protocol::OpId;
use serde_json::{Map, Value, json};

use self::fills::Fills;
use super::{
    cache::{BucketCache, Wait},
    entry::{Entry, EntryError},
    fill::{next_line, open_lines},
    near::{CachedFile, Kept},
    operation::{Written, bucket_of},
    template::{Template, TemplateError},
};
use crate::{
    oplog::{Batch, LineKind, OpLog, OpLogError, ReadLine, TargetCheckpoint},
    powersync::Line,
};

/// After so many further requests, the job goes on without the cache.
const MOST_REQUESTS: u32 = 20;

/// Whether a stream goes on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The log takes the line.
    Take,
    /// The line is left, and the store is asked again, with another request.
    AskAgain,
}

/// The cache, as one download of one store uses it.
pub(crate) struct Session {
    cache: Arc<BucketCache>,
    store: String,
    /// What the current request claims and the service has not come to yet.
    claims: HashMap<String, Kept>,
    /// The buckets that the log has, at least in part.
    arrived: HashSet<String>,
    fills: Fills,
    /// Buckets whose entries were of no use.
    refused: HashSet<String>,
    /// What was taken from the cache.
    taken: Vec<Entry>,
    /// What the log began with.
    template: Option<Arc<Template>>,
    /// Whether the log has begun, with a template or without.
    has_begun: bool,
    /// Whether the log is of no use any more.
    begins_anew: bool,
    wait: Option<Wait>,
    requests: u32,
    is_decided: bool,
    is_off: bool,
}

impl Session {
    /// Returns the cache for a download of `store` from its beginning.
    pub(crate) fn new(cache: Arc<BucketCache>, store: &str) -> Self {
        Self {
            cache,
            store: store.to_owned(),
            claims: HashMap::new(),
            arrived: HashSet::new(),
            fills: Fills::default(),
            refused: HashSet::new(),
            taken: Vec::new(),
            template: None,
            has_begun: false,
            begins_anew: false,
            wait: None,
            requests: 0,
            is_decided: false,
            is_off: false,
        }
    }

    /// The same, of a download whose log begins with nothing.
    pub(crate) fn from_nothing(cache: Arc<BucketCache>, store: &str) -> Self {
        Self {
            has_begun: true,
            ..Self::new(cache, store)
        }
    }

    /// Waits for others that fill what this store needs, and adds what the cache has to `request`.
    pub(crate) async fn request(&mut self, request: String) -> String {
        if let Some(wait) = self.wait.take() {
            self.cache.wait(wait).await;
        }
        // What the log began with is in its own request. It still has to be proven.
        let template = &self.template;
        let began = |bucket: &str| template.as_ref().is_some_and(|it| it.set().has(bucket));
        self.claims.retain(|bucket, _| began(bucket));
        if self.is_off {
            return request;
        }
        self.cache.refresh().await;
        let Ok(mut body) = serde_json::from_str::<Map<String, Value>>(&request) else {
            return request;
        };
        let mut buckets = match body.remove("buckets") {
            Some(Value::Array(buckets)) => buckets,
            _ => Vec::new(),
        };
        let names = buckets.iter().filter_map(|bucket| bucket["name"].as_str());
        self.arrived = names.map(ToOwned::to_owned).collect();
        for kept in self.cache.claims() {
            let Entry { bucket, after, .. } = &kept.entry;
            if !self.arrived.contains(bucket) && !self.refused.contains(bucket) {
                buckets.push(json!({ "name": bucket, "after": after.to_string() }));
                self.claims.insert(bucket.clone(), kept);
            }
        }
        if self.claims.is_empty() {
            return request;
        }
        body.insert("buckets".to_owned(), Value::Array(buckets));
        Value::Object(body).to_string()
    }

    /// Looks at the first target: decides which of its buckets this job fills, or has to wait for.
    pub(crate) async fn targeted(&mut self, target: &TargetCheckpoint) -> Next {
        self.claims.retain(|bucket, _| target.has_bucket(bucket));
        if let Some(template) = &self.template
            && !template
                .set()
                .buckets()
                .all(|bucket| target.has_bucket(bucket))
        {
            // Nothing of a bucket that the store has no more may be left in its file.
            self.leave_template();
            return self.ask_again();
        }
        // Who waits for others holds nothing that they may wait for.
        if self.is_off || self.is_decided || !self.fills.is_empty() {
            return Next::Take;
        }
        self.is_decided = true;
        let buckets = target.checkpoint(|_| OpId(0)).buckets;
        let is_open =
            |bucket: &String| !self.claims.contains_key(bucket) && !self.arrived.contains(bucket);
        let wanted: Vec<String> = buckets
            .into_iter()
            .filter(|bucket| is_open(&bucket.bucket))
            .filter(|bucket| {
                self.cache
                    .is_candidate(&bucket.bucket, bucket.operations, &self.store)
            })
            .map(|bucket| bucket.bucket)
            .collect();
        if wanted.is_empty() {
            return Next::Take;
        }
        match self.cache.begin(&wanted, &self.refused).await {
            Ok(fillers) => {
                for filler in fillers {
                    self.fills.begin(&self.cache, filler);
                }
                Next::Take
            }
            Err(wait) => {
                self.wait = Some(wait);
                self.is_decided = false;
                self.ask_again()
            }
        }
    }

    /// Returns whether the log may still begin with a template.
    pub(crate) fn may_begin(&self) -> bool {
        !self.has_begun && !self.is_off
    }

    /// Returns what the log begins with, once it has its first target and no operation.
    pub(crate) async fn template(&mut self, target: &TargetCheckpoint) -> Option<Arc<Template>> {
        let may_begin = self.may_begin() && self.arrived.is_empty();
        self.has_begun = true;
        if !may_begin || self.claims.is_empty() {
            return None;
        }
        let operations = target.checkpoint(|_| OpId(0)).operations();
        let template = Box::pin(self.cache.template(&self.claims, operations)).await?;
        self.template = Some(template.clone());
        Some(template)
    }

    /// Goes on without the template, with which the log could not begin.
    pub(crate) fn refuse_template(&mut self, error: &TemplateError) {
        if let Some(template) = self.template.take() {
            self.cache.templates.refuse(&template, error);
        }
    }

    /// Returns whether a new log is needed, since the old one began with a template that is of no use.
    pub(crate) fn begins_anew(&mut self) -> bool {
        std::mem::take(&mut self.begins_anew)
    }

    fn began_with(&self, bucket: &str) -> bool {
        let template = self.template.as_ref();
        template.is_some_and(|template| template.set().has(bucket))
    }

    /// Leaves what the log began with: everything is asked for again, for a new log.
    fn leave_template(&mut self) {
        if self.template.take().is_some() {
            self.begins_anew = true;
            self.taken.clear();
            self.fills.clear();
            self.is_decided = false;
        }
    }

    fn ask_again(&mut self) -> Next {
        self.requests += 1;
        if self.requests >= MOST_REQUESTS {
            self.turn_off();
        }
        Next::AskAgain
    }

    fn turn_off(&mut self) {
        self.is_off = true;
        if self.claims.keys().any(|bucket| self.began_with(bucket)) {
            self.leave_template();
        }
        self.claims.clear();
        self.fills.clear();
    }

    /// Returns whether lines have to be looked at: something is claimed or filled.
    pub(crate) fn is_watching(&self) -> bool {
        !self.claims.is_empty() || !self.fills.is_empty()
    }

    /// Looks at a line before `log` gets it, and hands it what the cache has of the line's bucket.
    ///
    /// # Errors
    /// [`OpLogError`] of the log.
    pub(crate) async fn before(
        &mut self,
        line: &Line,
        log: &mut OpLog,
    ) -> Result<Next, OpLogError> {
        let bucket = bucket_of(line);
        if let Some(bucket) = &bucket
            && !self.claims.contains_key(bucket)
        {
            self.fills.add(bucket, line);
            return Ok(Next::Take);
        }
        // What cannot be read is the log's to say.
        let Ok(ReadLine { kind, batch, .. }) = ReadLine::read(line.clone(), true) else {
            return Ok(Next::Take);
        };
        match kind {
            LineKind::Data { .. } => match (bucket, batch) {
                (Some(_), Some(Ok(batch))) => self.proof(&batch, line, log).await,
                _ => Ok(self.unreadable()),
            },
            LineKind::CheckpointPartiallyComplete(priority) => {
                let complete = log.target().checksums(Some(priority));
                let complete: Vec<String> = complete.map(|(bucket, _)| bucket.to_owned()).collect();
                Ok(self.unproven(complete))
            }
            LineKind::CheckpointComplete => {
                let claimed = self.claims.keys().cloned().collect();
                Ok(self.unproven(claimed))
            }
            _ => Ok(Next::Take),
        }
    }

    /// Nothing is filled with lines in a form that only the core extension knows, and nothing is proven by them.
    fn unreadable(&mut self) -> Next {
        let claimed = !self.claims.is_empty();
        self.turn_off();
        if claimed { Next::AskAgain } else { Next::Take }
    }

    /// Refuses the claims of these buckets, which are complete without the operation that proves their entries.
    fn unproven(&mut self, complete: Vec<String>) -> Next {
        let mut next = Next::Take;
        for bucket in complete {
            if self.claims.remove(&bucket).is_some() {
                next = self.refuse(&bucket, EntryError::Proof);
            }
        }
        next
    }

    fn refuse(&mut self, bucket: &str, error: EntryError) -> Next {
        self.cache.drop_entry(bucket, error);
        self.refused.insert(bucket.to_owned());
        self.is_decided = false;
        if self.began_with(bucket) {
            self.leave_template();
        }
        self.ask_again()
    }

    /// Takes a claimed bucket from the cache if its first line begins with the operation that proves it.
    async fn proof(
        &mut self,
        batch: &Batch,
        line: &Line,
        log: &mut OpLog,
    ) -> Result<Next, OpLogError> {
        let bucket = batch.bucket();
        let Some(mut kept) = self.claims.remove(bucket) else {
            return Ok(Next::Take);
        };
        let first = batch.operations.first();
        let proven =
            first.is_some_and(|first| Written::of(batch, first).digest() == kept.entry.next);
        if !proven {
            return Ok(self.refuse(bucket, EntryError::Proof));
        }
        if !self.began_with(bucket) {
            match self.cache.lines(&kept).await {
                Ok(file) => hand(kept.file.insert(file), log).await?,
                Err(error) => return Ok(self.refuse(bucket, error)),
            }
        }
        self.cache.used(&kept.entry);
        self.taken.push(kept.entry.clone());
        self.fills.follow(&self.cache, kept);
        self.fills.add(bucket, line);
        Ok(Next::Take)
    }

    /// Keeps what was filled: the checkpoint was applied, so its checksums are right.
    pub(crate) fn applied(&mut self) {
        self.cache.templates.took(self.taken.iter());
        if let Some(template) = &self.template {
            self.cache.templates.used(template);
        }
        self.fills.keep(&self.cache);
    }

    /// Goes on without the cache after a wrong checksum. Returns whether anything was taken from it, which may be at fault
    /// and is dropped.
    pub(crate) fn distrust(&mut self) -> bool {
        let taken = std::mem::take(&mut self.taken);
        let began = self.template.clone();
        if let Some(template) = &began {
            let error = TemplateError::Entry(EntryError::Checksum);
            self.cache.templates.refuse(template, &error);
            self.leave_template();
        }
        self.turn_off();
        for entry in &taken {
            self.cache.drop_entry(&entry.bucket, EntryError::Checksum);
        }
        began.is_some() || !taken.is_empty()
    }
}

/// Hands the lines of an entry to the log.
async fn hand(file: &CachedFile, log: &mut OpLog) -> Result<(), OpLogError> {
    let mut lines = open_lines(file).await.map_err(unreadable)?;
    while let Some(line) = next_line(&mut lines).await.map_err(unreadable)? {
        log.accept(line).await?;
    }
    Ok(())
}

/// A file whose digest was right a moment ago is gone: the disk fails.
fn unreadable(error: std::io::Error) -> OpLogError {
    crate::powersync::StreamError::Dropped(format!("the bucket cache cannot be read: {error}"))
        .into()
}
