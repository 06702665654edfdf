//! Makes what every program lists and publishes with from all settings: the maker of jobs, the publisher, the supervisor, and when
//! stores are quarantined.

use std::{sync::Arc, time::Duration};

use seedbed_protocol::{broker::Broker, settings::SettingsError};
use seedbed_worker::settings::WorkerConfig;

use crate::{
    catalog::{Catalog, Quarantine},
    runs::{JobMaker, LostAfter, Publisher, Supervisor},
    settings::{Settings, SyncConfig},
};

/// How far clocks of workers and coordinators may be apart.
const CLOCKS: Duration = Duration::from_secs(3_600);

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

/// Returns when stores are quarantined.
pub(crate) fn quarantine(sync: &SyncConfig) -> Quarantine {
    Quarantine {
        after: sync.quarantine_after,
        pause: sync.quarantine_pause,
        max_pause: sync.quarantine_max_pause,
    }
}

/// Returns for how long a job that is in flight may still upload something, also one that waits for a retry.
pub(crate) fn late_uploads(worker: &WorkerConfig) -> Duration {
    worker.job_deadline + worker.job_timeout + CLOCKS
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
