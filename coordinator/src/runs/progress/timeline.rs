//! A run in time: which worker was busy with what, and what bounded the run.
//!
//! In: the jobs of a run that workers have started, from the catalog, one at a time. Out: a [`Timeline`], of the same size for ten
//! jobs and for a hundred thousand, and its picture as SVG. Nothing is written, so a kill leaves nothing.

mod bound;
mod collect;
mod model;
mod paint;
mod part;
mod picture;
mod places;
mod scale;

use futures::TryStreamExt;
use seedbed_protocol::RunId;

use self::collect::Collector;
pub use self::{
    bound::{Bound, BoundBy},
    model::{Marked, StepSum, Timeline, WorkerTimes},
    part::Part,
    picture::draw,
};
use crate::catalog::{Catalog, CatalogError};

/// Reads how a run went until now.
///
/// # Errors
/// [`CatalogError::UnknownRun`], or that the catalog cannot be read.
pub async fn read(catalog: &Catalog, run_id: RunId) -> Result<Timeline, CatalogError> {
    let run = catalog.find_run(run_id).await?;
    let run = run.ok_or(CatalogError::UnknownRun { run_id })?;
    let now = catalog.now().await?;
    let workers = catalog.workers().await?;
    let slots = workers.into_iter().map(|of| (of.name, of.slots)).collect();
    let mut collector = Collector::new(&run, now, slots);
    let mut jobs = catalog.timed_jobs(run_id);
    while let Some(job) = jobs.try_next().await? {
        collector.add(job);
    }
    Ok(collector.timeline(&run))
}
