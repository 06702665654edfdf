//! Makes the other forms of a verified file, and compares them with it in a sample of the jobs.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use seedbed_protocol::manifest::{Checkpoint, Form};

use super::{
    error::SeedError,
    sample::Sample,
    steps::{Steps, blocking},
    workdir::JobDirectory,
};
use crate::{
    oplog::Schema,
    settings::WorkerSettings,
    snapshot::forms::{CompactCheck, FormError, write_compact},
};

/// The compact form, in a job's directory.
const COMPACT_FILE: &str = "compact.sqlite";

/// A copy of it, which is finished.
const FINISHED_FILE: &str = "finished.sqlite";

/// What is made of each verified file.
pub(super) struct Forms {
    compact: bool,
    /// The jobs whose forms are compared.
    sample: Sample,
}

impl Forms {
    pub(super) fn new(settings: &WorkerSettings) -> Self {
        let mut kinds = settings.snapshots.renditions.iter();
        Self {
            compact: kinds.any(|kind| kind.form == Form::Compact),
            sample: Sample::new(settings.verify.forms_every),
        }
    }

    /// Makes the forms that are wanted of the verified `file`, and compares them with it if this job is picked for that.
    /// Returns the file of each form.
    pub(super) async fn make(
        &self,
        steps: &mut Steps<'_>,
        schema: &Schema,
        file: PathBuf,
        directory: &JobDirectory,
        checkpoint: &Checkpoint,
    ) -> Result<HashMap<Form, PathBuf>, SeedError> {
        let mut forms = HashMap::from([(Form::File, file.clone())]);
        if self.compact {
            let compact = directory.file(COMPACT_FILE);
            let (from, to) = (file.clone(), compact.clone());
            let writing = blocking(move || write_compact(&from, &to));
            steps.run("compact", writing).await?;
            if self.sample.picks(checkpoint.generation()) {
                let finished = directory.file(FINISHED_FILE);
                let checking = check_compact(schema, &compact, &file, finished);
                steps.run("forms", checking).await?;
            }
            forms.insert(Form::Compact, compact);
        }
        Ok(forms)
    }
}

/// Finishes a copy of a compact file, at `finished`, and compares it with the file.
async fn check_compact(
    schema: &Schema,
    compact: &Path,
    file: &Path,
    finished: PathBuf,
) -> Result<(), SeedError> {
    let copied = tokio::fs::copy(compact, &finished).await;
    copied.map_err(|source| FormError::Write {
        path: finished.clone(),
        source,
    })?;
    let check = CompactCheck::open(&finished, file, schema)?;
    let _interrupt = check.interrupt();
    blocking(move || check.run()).await?;
    // It takes as much room as the file.
    let _ = tokio::fs::remove_file(finished).await;
    Ok(())
}
