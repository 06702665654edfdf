//! Jobs that start from the store's last snapshot: what they download, and that what comes of them is what a full download
//! makes.

mod by_changes;
mod changes;
mod refused;
mod support;

pub(super) use support::Content;
