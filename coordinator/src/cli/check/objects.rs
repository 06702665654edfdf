//! Checks the place for snapshots by one small object, which is removed again.

use chrono::{DateTime, TimeDelta, Utc};
use seedbed_protocol::{
    objects::{CheckObject, Conditions},
    snapshots::SnapshotRepository,
};

use super::{clock, report::Checked};
use crate::settings::Settings;

/// The object, while it is there.
pub(super) struct Probed {
    pub(super) snapshots: SnapshotRepository,
    pub(super) object: CheckObject,
    /// How far the storage's clock is ahead; `None` for a directory.
    pub(super) clock: Option<TimeDelta>,
}

/// Writes the object and reads it.
pub(super) async fn write(settings: &Settings) -> Checked<Probed> {
    let snapshots = SnapshotRepository::open(&settings.snapshots)?;
    let before = Utc::now();
    let object = snapshots.write_check_object().await?;
    let read: DateTime<Utc> = object.stored.last_modified;
    let is_bucket = snapshots.local_path("").is_none();
    let resolution = TimeDelta::seconds(1);
    Ok(Probed {
        clock: is_bucket.then(|| clock::difference_of(before, read, resolution)),
        snapshots,
        object,
    })
}

/// Removes the object, and says what the service lacks.
pub(super) async fn remove(settings: &Settings, probed: &Probed) -> Checked<String> {
    probed.snapshots.remove_check_object(&probed.object).await?;
    let found = probed.snapshots.limitations(&probed.object);
    let mut told = format!("{}: written, read and deleted", settings.snapshots.url);
    let lacking = match found.conditions {
        Conditions::Kept => None,
        Conditions::Refused => {
            Some("no conditional writes (AWS_CONDITIONAL_PUT=disabled saves the refused requests)")
        }
        Conditions::Ignored => {
            Some("conditional writes are ignored (set AWS_CONDITIONAL_PUT=disabled)")
        }
    };
    if let Some(lacking) = lacking {
        told = format!("{told}; {lacking}");
        if settings.snapshots.latest {
            return Err(format!(
                "{told}: an older job can replace a newer copy in latest/, so set snapshots.latest = false, or use a \
                 service with conditional writes"
            )
            .into());
        }
        told += "; keep snapshots.latest off";
    }
    if !found.bulk_delete {
        told += "; no deletes of several objects at once (AWS_DISABLE_BULK_DELETE=true saves the refused requests)";
    }
    Ok(told)
}
