//! Makes what every program publishes with from all settings: the maker of jobs, and the publisher.

use std::sync::Arc;

use seedbed_protocol::{broker::Broker, settings::SettingsError};

use crate::{
    catalog::Catalog,
    runs::{JobMaker, Publisher},
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
