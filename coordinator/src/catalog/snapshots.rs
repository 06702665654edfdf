//! Snapshots that may go, that are gone, and that come back from their manifests.

pub(super) mod retention;
