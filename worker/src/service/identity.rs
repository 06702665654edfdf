//! Who this worker is, for its events and heartbeats.

/// Who this worker is.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    /// Its name: host and process.
    pub(super) worker: String,
    /// The name of its machine.
    pub(super) host: String,
}

impl Identity {
    /// Returns the identity of this process.
    pub(super) fn of_this_process() -> Self {
        let host = gethostname::gethostname().display().to_string();
        let worker = format!("{host}-{}", std::process::id());
        Self { worker, host }
    }
}
