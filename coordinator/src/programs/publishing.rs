//! Makes what every program publishes with from all settings: the maker of jobs, the publisher, and the supervisor.

use std::sync::Arc;

use seedbed_protocol::{broker::Broker, settings::SettingsError};

use crate::{
    catalog::Catalog,
    runs::{JobMaker, LostAfter, Publisher, Supervisor},
    settings::Settings,
};

/// Parses the templates of `settings`.
///
/// # Errors
/// [`SettingsError::Invalid`] names the setting that is no template.
pub(crate) fn job_maker(settings: &Settings) -> Result<JobMaker, SettingsError> {
    let deadline = settings.worker.job_deadline;
    Ok(JobMaker::new(
        settings.templates()?,
        &settings.sync,
        deadline,
    ))
}

/// Publishes `jobs` as `settings` say.
pub(super) fn publisher(
    settings: &Settings,
    jobs: &JobMaker,
    catalog: &Catalog,
    broker: Arc<dyn Broker>,
) -> Publisher {
    Publisher::new(
        catalog.clone(),
        broker,
        settings.broker.is_memory(),
        jobs.clone(),
        settings.sync.clone(),
    )
}

/// Supervises the runs of `catalog` as `settings` say.
pub(super) fn supervisor(
    settings: &Settings,
    catalog: &Catalog,
    broker: Arc<dyn Broker>,
    publisher: Arc<Publisher>,
) -> Supervisor {
    let lost_after = (!settings.broker.is_memory()).then_some(LostAfter {
        waiting: settings.broker.lost_after,
        attempt: settings.worker.job_timeout,
    });
    let deadline = settings.worker.job_deadline;
    Supervisor::new(catalog.clone(), broker, publisher, deadline, lost_after)
}
