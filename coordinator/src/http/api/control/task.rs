//! Work that is done to its end.

use tracing::Instrument;

use crate::http::problem::Problem;

/// Does `work` to its end, also when the caller goes away.
pub(super) async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Problem> {
    let task = tokio::spawn(work.in_current_span());
    task.await
        .map_err(|error| Problem::failed("the request", &error, false))
}
