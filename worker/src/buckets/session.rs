//! The cache in one job: what its requests claim, what it takes from the cache, and what it fills.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use seedbed_protocol::OpId;
use serde_json::{Map, Value, json};
use tokio::{fs::File, io::BufReader};
use tracing::debug;

use super::{
    cache::{BucketCache, Filler, Wait},
    entry::{Entry, EntryError},
    fill::{Fill, next_line},
    near::{CachedFile, Kept},
    operation::{Written, bucket_of},
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

/// A bucket that is being written.
struct Filling {
    fill: Fill,
    /// Absent for what follows an entry.
    filler: Option<Filler>,
    base: Option<(Entry, Arc<CachedFile>)>,
}

/// The cache, as one download of one store uses it.
pub(crate) struct Session {
    cache: Arc<BucketCache>,
    store: String,
    /// What the current request claims and the service has not come to yet.
    claims: HashMap<String, Kept>,
    /// The buckets that the log has, at least in part.
    arrived: HashSet<String>,
    fills: HashMap<String, Filling>,
    /// Buckets whose entries were of no use.
    refused: HashSet<String>,
    /// Buckets that were taken from the cache.
    taken: Vec<String>,
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
            fills: HashMap::new(),
            refused: HashSet::new(),
            taken: Vec::new(),
            wait: None,
            requests: 0,
            is_decided: false,
            is_off: false,
        }
    }

    /// Waits for others that fill what this store needs, and adds what the cache has to `request`.
    pub(crate) async fn request(&mut self, request: String) -> String {
        if let Some(wait) = self.wait.take() {
            self.cache.wait(wait).await;
        }
        self.claims.clear();
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
                fillers.into_iter().for_each(|filler| self.fill(filler));
                Next::Take
            }
            Err(wait) => {
                self.wait = Some(wait);
                self.is_decided = false;
                self.ask_again()
            }
        }
    }

    fn fill(&mut self, filler: Filler) {
        let fill = self.cache.new_file().and_then(Fill::begin);
        match fill {
            Ok(fill) => {
                let bucket = filler.bucket.clone();
                let filling = Filling {
                    fill,
                    filler: Some(filler),
                    base: None,
                };
                self.fills.insert(bucket, filling);
            }
            Err(error) => debug!("cannot fill the bucket cache: {error}"),
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
            self.add(bucket, line);
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
        let Some(kept) = self.claims.remove(bucket) else {
            return Ok(Next::Take);
        };
        let first = batch.operations.first();
        let proven =
            first.is_some_and(|first| Written::of(batch, first).digest() == kept.entry.next);
        let file = match proven {
            true => self.cache.lines(&kept).await,
            false => Err(EntryError::Proof),
        };
        match file {
            Ok(file) => self.take(kept.entry, file, log).await?,
            Err(error) => return Ok(self.refuse(bucket, error)),
        }
        self.add(bucket, line);
        Ok(Next::Take)
    }

    /// Adds a line to what is filled.
    fn add(&mut self, bucket: &str, line: &Line) {
        if let Some(filling) = self.fills.get_mut(bucket)
            && !filling.fill.add(line).unwrap_or(false)
        {
            self.fills.remove(bucket);
        }
    }

    /// Hands the lines of an entry to the log.
    async fn take(
        &mut self,
        entry: Entry,
        file: Arc<CachedFile>,
        log: &mut OpLog,
    ) -> Result<(), OpLogError> {
        let bucket = entry.bucket.clone();
        self.taken.push(bucket.clone());
        let lines = File::open(file.path()).await.map_err(unreadable)?;
        let mut lines = BufReader::with_capacity(1 << 20, lines);
        while let Some(line) = next_line(&mut lines).await.map_err(unreadable)? {
            log.accept(line).await?;
        }
        self.cache.used(&entry);
        let following = self.cache.new_file();
        if let Ok(fill) = following.and_then(|following| Fill::following(following, &entry)) {
            let filling = Filling {
                fill,
                filler: None,
                base: Some((entry, file)),
            };
            self.fills.insert(bucket, filling);
        }
        Ok(())
    }

    /// Keeps what was filled: the checkpoint was applied, so its checksums are right.
    pub(crate) fn applied(&mut self) {
        for (bucket, Filling { fill, filler, base }) in self.fills.drain() {
            let cache = self.cache.clone();
            let Some((entry, file)) = base else {
                match fill.finish() {
                    Ok(Some(filled)) => cache.keep(&bucket, filled, filler),
                    Ok(None) => {}
                    Err(error) => debug!("cannot fill the bucket cache: {error}"),
                }
                continue;
            };
            let Ok(whole) = cache.new_file() else {
                continue;
            };
            let keeping = cache.clone();
            cache.spawn(async move {
                let joining =
                    tokio::task::spawn_blocking(move || fill.joined(&entry, &file, whole));
                if let Ok(Ok(Some(filled))) = joining.await {
                    keeping.keep(&bucket, filled, None);
                }
            });
        }
    }

    /// Goes on without the cache after a wrong checksum. Returns whether anything was taken from it, which may be at fault
    /// and is dropped.
    pub(crate) fn distrust(&mut self) -> bool {
        self.turn_off();
        let taken = std::mem::take(&mut self.taken);
        for bucket in &taken {
            self.cache.drop_entry(bucket, EntryError::Checksum);
        }
        !taken.is_empty()
    }
}

/// A file whose digest was right a moment ago is gone: the disk fails.
fn unreadable(error: std::io::Error) -> OpLogError {
    crate::powersync::StreamError::Dropped(format!("the bucket cache cannot be read: {error}"))
        .into()
}
