//! A message as it travels: a body and the headers that can be read without it.

use bytes::Bytes;

use crate::{
    ids::{Attempt, JobId, RunId, StoreId},
    message::{
        Extras, Heartbeat, SeedEvent, SeedJob,
        codec::{self, Body, CodecError},
    },
    telemetry::trace::TraceContext,
};

/// What can be read of a message without its body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Headers {
    /// What the message is about, also for a reader that does not understand the body. `None` on a message of another
    /// program.
    pub subject: Option<Subject>,
    /// The trace that the message belongs to.
    pub trace: TraceContext,
    /// The reason, on a message in a parking queue.
    pub parked: Option<String>,
    /// What belongs to the body, and its layout has no room for.
    pub extras: Extras,
    /// Whether it is delivered before those that are not, as far as the broker can: in memory, and by RabbitMQ from 4.0 on.
    pub urgent: bool,
    /// Whether the broker put it into the parking queue by itself, so that no consumer has reported the reason.
    pub dead_lettered: bool,
}

/// The job that a message is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    pub run_id: RunId,
    pub job_id: JobId,
    pub store_id: StoreId,
    pub attempt: Attempt,
}

impl Subject {
    /// Returns what the message of `job` is about.
    pub fn of(job: &SeedJob) -> Self {
        Self {
            run_id: job.run_id,
            job_id: job.job_id,
            store_id: job.scope.store_id.clone(),
            attempt: job.attempt,
        }
    }
}

/// A body and its headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// See [`crate::message::codec`].
    pub body: Bytes,
    pub headers: Headers,
}

impl Message {
    /// Encodes the message for `job`.
    ///
    /// # Errors
    /// [`CodecError`] when the job is too large for a body.
    pub fn job(job: &SeedJob, trace: TraceContext) -> Result<Self, CodecError> {
        Self::about(Subject::of(job), job, trace)
    }

    /// Encodes the message for `event`.
    ///
    /// # Errors
    /// [`CodecError`] when the event is too large for a body.
    pub fn event(event: &SeedEvent, trace: TraceContext) -> Result<Self, CodecError> {
        let subject = Subject {
            run_id: event.run_id,
            job_id: event.job_id,
            store_id: event.store_id.clone(),
            attempt: event.attempt,
        };
        Self::about(subject, event, trace)
    }

    /// Encodes the message for `heartbeat`.
    ///
    /// # Errors
    /// [`CodecError`] when a name in it is too long for a body.
    pub fn heartbeat(heartbeat: &Heartbeat) -> Result<Self, CodecError> {
        Ok(Self {
            body: codec::encode(heartbeat)?.into(),
            headers: Headers {
                extras: heartbeat.extras(),
                ..Headers::default()
            },
        })
    }

    fn about(subject: Subject, body: &impl Body, trace: TraceContext) -> Result<Self, CodecError> {
        Ok(Self {
            body: codec::encode(body)?.into(),
            headers: Headers {
                subject: Some(subject),
                trace,
                extras: body.extras(),
                ..Headers::default()
            },
        })
    }

    /// Reads the body.
    ///
    /// # Errors
    /// [`CodecError`] when it is not a `T` that this program understands.
    pub fn decode<T: Body>(&self) -> Result<T, CodecError> {
        let mut body: T = codec::decode(&self.body)?;
        body.add_extras(self.headers.extras.clone());
        Ok(body)
    }
}
