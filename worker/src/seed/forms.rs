//! Makes the other forms of a verified file, and compares them with it in a sample of the jobs.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use seedbed_protocol::{
    manifest::{self, Checkpoint, Form, Subscribed},
    message::SeedJob,
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
    snapshot::forms::{FormCheck, write_compact, write_stream},
};

/// The compact form, in a job's directory.
const COMPACT_FILE: &str = "compact.sqlite";

/// The stream form.
const STREAM_FILE: &str = "stream.ndjson";

/// The same as BSON.
const BSON_FILE: &str = "stream.bson";

/// What a device makes of a form.
const FINISHED_FILE: &str = "finished.sqlite";

/// What is made of each verified file.
pub(super) struct Forms {
    wanted: Vec<Form>,
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
        let mut forms = HashMap::new();
        for &form in &self.wanted {
            let (step, name) = match form {
                Form::Stream => ("stream", STREAM_FILE),
                Form::StreamBson => ("stream", BSON_FILE),
                _ => ("compact", COMPACT_FILE),
            };
            let target = directory.file(name);
            let (from, to, checkpoint) = (file.clone(), target.clone(), checkpoint.clone());
            let writing = blocking(move || match form {
                Form::Stream => write_stream(&from, &checkpoint, LineFormat::Ndjson, &to),
                Form::StreamBson => write_stream(&from, &checkpoint, LineFormat::Bson, &to),
                _ => write_compact(&from, &to),
            });
            steps.run(step, writing).await?;
            forms.insert(form, target);
        }
        if !forms.is_empty() && self.sample.picks(checkpoint.generation()) {
            let finished = directory.file(FINISHED_FILE);
            let checking = check(schema, &forms, &file, &finished);
            steps.run("forms", checking).await?;
        }
        forms.insert(Form::File, file);
        Ok(forms)
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

/// Does with each form what a device does, in a database at `finished`, and compares the result with the file.
async fn check(
    schema: &Schema,
    forms: &HashMap<Form, PathBuf>,
    file: &Path,
    finished: &Path,
) -> Result<(), SeedError> {
    for (&form, path) in forms {
        let check = FormCheck::open(form, path, file, finished, schema)?;
        let _interrupt = check.interrupt();
        blocking(move || check.run()).await?;
        // It takes as much room as the file.
        let _ = tokio::fs::remove_file(finished).await;
    }
    Ok(())
}
