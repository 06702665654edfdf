//! The steps of a job, as traces and metrics have them.

use std::time::Instant;

use seedbed_protocol::trace::fail;
use tracing::{Instrument, Span, info_span};

use crate::{metrics::Metrics, seed::error::SeedError};

/// Does one step of a job: in a span of its own, and timed.
pub(crate) async fn step<T>(
    metrics: &Metrics,
    name: &'static str,
    work: impl Future<Output = T>,
) -> T {
    let started = Instant::now();
    let span = info_span!("step", otel.name = name);
    let done = work.instrument(span).await;
    metrics.step(name, started.elapsed());
    done
}

/// [`step`], marked as failed if it fails.
pub(crate) async fn try_step<T, E: Into<SeedError>>(
    metrics: &Metrics,
    name: &'static str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, SeedError> {
    let marked = async {
        let done = work.await.map_err(Into::into);
        if let Err(error) = &done {
            fail(&Span::current(), error.name(), error);
        }
        done
    };
    step(metrics, name, marked).await
}
