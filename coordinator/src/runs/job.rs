//! Makes the message of one job: parameters and streams of the settings, filled in with the store's claims.

use std::time::Duration;

use chrono::Utc;
use seedbed_protocol::{
    Attempt, JobId, JsonObject, RunId,
    message::{Scope, SeedJob, Start, StreamSubscription},
    settings::TemplateError,
};
use serde_json::{Map, Value};

use crate::settings::{SyncConfig, Templates};

/// Makes jobs as the settings say. Templates are parsed once, and filled in for each store.
#[derive(Debug, Clone)]
pub struct JobMaker {
    templates: Templates,
    default_streams: bool,
    /// How long a job is worth working on.
    deadline: Duration,
}

/// A template does not fit a store.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: {source}")]
pub struct Misfit {
    /// The setting.
    pub setting: String,
    /// What is missing.
    pub source: TemplateError,
}

impl JobMaker {
    /// Makes jobs from `templates`, each worth working on for `deadline`.
    pub fn new(templates: Templates, sync: &SyncConfig, deadline: Duration) -> Self {
        Self {
            templates,
            default_streams: sync.default_streams,
            deadline,
        }
    }

    /// Checks that every template fits this store.
    ///
    /// # Errors
    /// [`Misfit`].
    pub fn check(&self, scope: &Scope) -> Result<(), Misfit> {
        self.selection(&scope.claims.0).map(drop)
    }

    /// Makes a job that may start now, from `start`.
    ///
    /// # Errors
    /// [`Misfit`]: settings that have changed since the job was listed may no longer fit its store.
    pub fn make(
        &self,
        run_id: RunId,
        job_id: JobId,
        scope: Scope,
        start: Start,
    ) -> Result<SeedJob, Misfit> {
        let (parameters, subscriptions) = self.selection(&scope.claims.0)?;
        Ok(SeedJob {
            run_id,
            job_id,
            scope,
            parameters,
            default_streams: self.default_streams,
            subscriptions,
            attempt: Attempt::FIRST,
            deadline: Utc::now() + self.deadline,
            start,
        })
    }

    /// Sync parameters and stream subscriptions for a store.
    fn selection(
        &self,
        claims: &Map<String, Value>,
    ) -> Result<(JsonObject, Vec<StreamSubscription>), Misfit> {
        let templates = &self.templates;
        let misfit = |setting: &str| {
            let setting = setting.to_owned();
            |source| Misfit { setting, source }
        };
        // The worker fills in the subject; a claim that does not fit has to show before anything starts.
        let subject = templates.subject.fill_text(claims);
        subject.map_err(misfit("token.subject"))?;
        let parameters = templates.parameters.fill(claims);
        let parameters = JsonObject(parameters.map_err(misfit("[parameters]"))?);
        let streams = templates.streams.iter().enumerate();
        let subscriptions = streams.map(|(index, stream)| {
            let template = stream.parameters.as_ref();
            let filled = template.map(|template| template.fill(claims).map(JsonObject));
            let filled = filled.transpose();
            Ok(StreamSubscription {
                stream: stream.stream.clone(),
                parameters: filled.map_err(misfit(&format!("streams.{index}.parameters")))?,
                priority: stream.priority,
            })
        });
        Ok((parameters, subscriptions.collect::<Result<_, _>>()?))
    }
}
