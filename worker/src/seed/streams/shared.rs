//! What a download of one store has in common with those of others: what it takes from the bucket cache, and the database that
//! its log begins with.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use seedbed_protocol::{OpId, message::SeedJob};

use crate::{
    buckets::{Next, Session, Template, TemplateError},
    oplog::{Accepted, DatabaseError, OpLog, Schema, SyncOptions},
    powersync::Line,
    settings::WorkerSettings,
    snapshot::{before::BasePages, is_in_order},
};

/// The copy of a template, in a job's directory.
pub(in crate::seed) const TEMPLATE_FILE: &str = "template.sqlite";

/// The file of a download that began with a template, and begins with nothing now.
pub(in crate::seed) const AGAIN_FILE: &str = "again.sqlite";

/// How the operation logs of a worker are made.
pub(in crate::seed) struct LogSettings {
    pub(in crate::seed) schema: Schema,
    subscription_ttl: Duration,
    cache_kib: u32,
    load_memory_kib: Option<u32>,
}

impl LogSettings {
    pub(in crate::seed) fn new(settings: &WorkerSettings, schema: Schema) -> Self {
        Self {
            schema,
            subscription_ttl: settings.schema.subscription_ttl,
            cache_kib: settings.worker.cache_kib(),
            load_memory_kib: settings.worker.load_memory_kib(),
        }
    }

    /// Returns what a log of `job` asks for, and its limits.
    pub(in crate::seed) fn of(&self, job: &SeedJob) -> SyncOptions {
        SyncOptions {
            parameters: job.parameters.0.clone(),
            default_streams: job.default_streams,
            subscriptions: job.subscriptions.clone(),
            subscription_ttl: self.subscription_ttl.as_secs(),
            cache_kib: self.cache_kib,
            load_memory_kib: self.load_memory_kib,
        }
    }
}

/// Makes the logs of one job, side by side in its directory.
pub(in crate::seed) struct Logs<'a> {
    pub(in crate::seed) settings: &'a LogSettings,
    pub(in crate::seed) job: &'a SeedJob,
    /// Where the first one is.
    pub(in crate::seed) file: PathBuf,
}

impl Logs<'_> {
    /// Returns a log that begins with nothing.
    ///
    /// # Errors
    /// When SQLite or the core extension fails.
    pub(in crate::seed) async fn first(&self) -> Result<OpLog, DatabaseError> {
        self.on_nothing(&self.file).await
    }

    /// Returns another one. The thread of the one before may not have ended yet, so it has a file of its own.
    ///
    /// # Errors
    /// When SQLite or the core extension fails.
    pub(in crate::seed) async fn again(&self) -> Result<OpLog, DatabaseError> {
        self.on_nothing(&self.file.with_file_name(AGAIN_FILE)).await
    }

    async fn on_nothing(&self, file: &Path) -> Result<OpLog, DatabaseError> {
        let (schema, options) = (self.settings.schema.clone(), self.settings.of(self.job));
        OpLog::create(file.to_owned(), schema, options).await
    }

    /// Returns a log that begins with a copy of `template`; if it `is_logged`, the copy stays as it is until it is finished.
    /// Also returns its pages.
    async fn on(
        &self,
        template: &Arc<Template>,
        is_logged: bool,
    ) -> Result<(OpLog, BasePages), TemplateError> {
        let file = self.file.with_file_name(TEMPLATE_FILE);
        let pages = template.copy(&file).await?;
        let (schema, options) = (self.settings.schema.clone(), self.settings.of(self.job));
        let mut log = OpLog::resume(file, schema, options, is_logged).await?;
        let request = log.request().await?;
        match template.is_continued_by(&request) {
            true => Ok((log, pages)),
            false => {
                let reason = "the core extension is not at its positions";
                Err(TemplateError::Checkpoint(reason.to_owned()))
            }
        }
    }
}

/// The template that a log began with.
pub(in crate::seed) struct Begun {
    pub(in crate::seed) template: Arc<Template>,
    /// The pages of its copy, if only what has changed in it has to be verified.
    pub(in crate::seed) pages: Option<BasePages>,
}

/// What one download shares with others.
pub(in crate::seed) struct Shared<'a> {
    pub(super) session: Session,
    logs: Logs<'a>,
    /// Whether a file may be verified only where it differs from its template.
    checks_changes: bool,
    begun: Option<Begun>,
}

impl<'a> Shared<'a> {
    pub(in crate::seed) fn new(session: Session, logs: Logs<'a>, checks_changes: bool) -> Self {
        Self {
            session,
            logs,
            checks_changes,
            begun: None,
        }
    }

    /// Returns what the log began with, if that is a template.
    pub(in crate::seed) fn begun(self) -> Option<Begun> {
        self.begun
    }

    /// Looks at the target of `log`, whose `line` is given as long as the log can begin with a template: then it may become
    /// another one, at the same target. Returns whether to go on towards it.
    pub(super) async fn targeted(&mut self, log: &mut OpLog, line: Option<Line>) -> Next {
        let next = self.session.targeted(log.target()).await;
        if next == Next::Take
            && let Some(line) = line
            && let Some(template) = self.session.template(log.target()).await
        {
            match self.begin(log, line, template).await {
                Ok(begun) => self.begun = Some(begun),
                // The log is what it was.
                Err(error) => self.session.refuse_template(&error),
            }
        }
        next
    }

    async fn begin(
        &self,
        log: &mut OpLog,
        line: Line,
        template: Arc<Template>,
    ) -> Result<Begun, TemplateError> {
        let operations = log.target().checkpoint(|_| OpId(0)).operations();
        let added = operations.saturating_sub(template.operations());
        let checks_changes = self.checks_changes && is_in_order(added, operations);
        let (mut other, pages) = self.logs.on(&template, checks_changes).await?;
        let Accepted::Target = other.accept(line).await? else {
            let reason = "its target was not accepted";
            return Err(TemplateError::Checkpoint(reason.to_owned()));
        };
        *log = other;
        let _ = std::fs::remove_file(&self.logs.file);
        Ok(Begun {
            template,
            pages: checks_changes.then_some(pages),
        })
    }

    /// Returns a log that begins with nothing, if the one before began with a template that is of no use.
    pub(super) async fn begin_anew(&mut self) -> Result<Option<OpLog>, DatabaseError> {
        if !self.session.begins_anew() {
            return Ok(None);
        }
        self.begun = None;
        self.logs.again().await.map(Some)
    }
}
