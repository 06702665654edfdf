//! Makes the other forms of a verified file, and compares them with it in a sample of the jobs.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use seedbed_protocol::{
    manifest::{self, Checkpoint, Encoding, Form, RenditionKind, Subscribed},
    message::SeedJob,
    snapshots::{SealingKeys, SnapshotKey},
};

use super::{
    error::SeedError,
    sample::Sample,
    steps::{Steps, blocking},
    workdir::JobDirectory,
};
use crate::{
    oplog::Schema,
    powersync::LineFormat,
    settings::WorkerSettings,
    snapshot::{
        SnapshotFiles,
        forms::{FormCheck, write_compact, write_stream},
        sealed::{SealError, open_copy, seal},
    },
};

/// The compact form, in a job's directory.
const COMPACT_FILE: &str = "compact.sqlite";

/// The stream form.
const STREAM_FILE: &str = "stream.ndjson";

/// The same as BSON.
const BSON_FILE: &str = "stream.bson";

/// What a device makes of a form.
const FINISHED_FILE: &str = "finished.sqlite";

/// A sealed file that was opened again.
const UNSEALED_FILE: &str = "unsealed.sqlite";

/// What is made of each verified file.
pub(super) struct Forms {
    wanted: Vec<Form>,
    sealed: Vec<RenditionKind>,
    sealing_keys: SealingKeys,
    /// The jobs whose forms are compared.
    sample: Sample,
}

impl Forms {
    pub(super) fn new(settings: &WorkerSettings) -> Self {
        let kinds = &settings.snapshots.renditions;
        let is_wanted = |form: &Form| kinds.iter().any(|kind| kind.form == *form);
        let others = [Form::Compact, Form::Stream, Form::StreamBson].into_iter();
        Self {
            wanted: others.filter(is_wanted).collect(),
            sealed: kinds
                .iter()
                .filter(|kind| kind.is_sealed())
                .copied()
                .collect(),
            sealing_keys: settings.snapshots.sealing_key.clone(),
            sample: Sample::new(settings.verify.forms_every),
        }
    }

    /// Makes the forms that are wanted of `file`, and seals what is wanted sealed.
    pub(super) async fn make(
        &self,
        steps: &Steps<'_>,
        job: &SeedJob,
        file: &Path,
        directory: &JobDirectory,
        checkpoint: &Checkpoint,
    ) -> Result<Made, SeedError> {
        let mut files = SnapshotFiles {
            plain: HashMap::from([(Form::File, file.to_owned())]),
            hashed: None,
            sealed: HashMap::new(),
            sealed_key: None,
        };
        for &form in &self.wanted {
            let (step, name) = match form {
                Form::Stream => ("stream", STREAM_FILE),
                Form::StreamBson => ("stream", BSON_FILE),
                _ => ("compact", COMPACT_FILE),
            };
            let target = directory.file(name);
            let (from, to, checkpoint) = (file.to_owned(), target.clone(), checkpoint.clone());
            let writing = blocking(move || match form {
                Form::Stream => write_stream(&from, &checkpoint, LineFormat::Ndjson, &to),
                Form::StreamBson => write_stream(&from, &checkpoint, LineFormat::Bson, &to),
                _ => write_compact(&from, &to),
            });
            steps.run(step, writing).await?;
            files.plain.insert(form, target);
        }
        let mut copies = Copies::of(&files);
        if !self.sealed.is_empty() {
            let key = SnapshotKey::random().map_err(SealError::from)?;
            let sealing = self.seal(&key, job, directory, &mut files);
            steps.run("seal", sealing).await?;
            copies.add_sealed(&files, key);
        }
        Ok(Made { files, copies })
    }

    /// Compares what was made of `file` with it, if this job is picked for that. Returns what was made.
    ///
    /// The file is verified: a comparison takes the memory of several rows, so it does not go on beside that.
    pub(super) async fn compare(
        &self,
        made: Made,
        steps: &Steps<'_>,
        schema: &Schema,
        file: &Path,
        directory: &JobDirectory,
        checkpoint: &Checkpoint,
    ) -> Result<SnapshotFiles, SeedError> {
        if !made.copies.is_empty() && self.sample.picks(checkpoint.generation()) {
            let checking = made.copies.check(schema, file, directory);
            steps.run("forms", checking).await?;
        }
        Ok(made.files)
    }

    /// Seals what is wanted sealed.
    async fn seal(
        &self,
        key: &SnapshotKey,
        job: &SeedJob,
        directory: &JobDirectory,
        files: &mut SnapshotFiles,
    ) -> Result<(), SeedError> {
        let wrapped = self.sealing_keys.wrap(key, &job.scope.store_id, job.job_id);
        files.sealed_key = Some(wrapped.map_err(SealError::from)?);
        for &kind in &self.sealed {
            let target = directory.file(&format!("{}.{}", kind.form.name(), kind.encoding.name()));
            let (key, from, to) = (key.clone(), files.plain[&kind.form].clone(), target.clone());
            blocking(move || seal(kind.encoding, &key, &from, &to)).await?;
            files.sealed.insert(kind, target);
        }
        Ok(())
    }
}

/// What was made of a file.
pub(super) struct Made {
    files: SnapshotFiles,
    copies: Copies,
}

/// What a job made of its file, to be compared with it.
struct Copies {
    files: Vec<(RenditionKind, PathBuf)>,
    key: Option<SnapshotKey>,
}

impl Copies {
    /// Returns the other forms.
    fn of(files: &SnapshotFiles) -> Self {
        let others = files.plain.iter().filter(|(form, _)| **form != Form::File);
        let encoding = Encoding::Identity;
        let others = others.map(|(&form, path)| (RenditionKind { form, encoding }, path.clone()));
        Self {
            files: others.collect(),
            key: None,
        }
    }

    /// Adds the sealed files, and their key.
    fn add_sealed(&mut self, files: &SnapshotFiles, key: SnapshotKey) {
        let sealed = files.sealed.iter();
        self.files
            .extend(sealed.map(|(&kind, path)| (kind, path.clone())));
        self.key = Some(key);
    }

    fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Does with each what a device does, and compares the result with the file.
    async fn check(
        self,
        schema: &Schema,
        file: &Path,
        directory: &JobDirectory,
    ) -> Result<(), SeedError> {
        let (finished, unsealed) = (directory.file(FINISHED_FILE), directory.file(UNSEALED_FILE));
        for (kind, path) in self.files {
            let path = match &self.key {
                Some(key) if kind.is_sealed() => {
                    let (key, to) = (key.clone(), unsealed.clone());
                    blocking(move || open_copy(kind.encoding, &key, &path, &to)).await?;
                    unsealed.clone()
                }
                _ => path,
            };
            let check = FormCheck::open(kind.form, &path, file, &finished, schema)?;
            let _interrupt = check.interrupt();
            blocking(move || check.run()).await?;
            // Each takes as much room as the file.
            for made in [&finished, &unsealed] {
                let _ = tokio::fs::remove_file(made).await;
            }
        }
        Ok(())
    }
}

/// Returns what a client has to ask for to get what this job does.
pub(super) fn selection(job: &SeedJob) -> String {
    let subscriptions = job.subscriptions.iter().map(|subscription| Subscribed {
        stream: &subscription.stream,
        parameters: subscription.parameters.as_ref().map(|object| &object.0),
        priority: subscription.priority,
    });
    manifest::selection(&job.parameters.0, job.default_streams, subscriptions)
}
