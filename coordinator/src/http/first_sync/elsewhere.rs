//! What an SDK asks of a PowerSync service and cannot be had here: the checkpoint that says that its own writes have arrived.

use axum::http::StatusCode;

use crate::http::problem::{Problem, ProblemBody};

/// Write checkpoints are not made here
///
/// An SDK that is told so keeps its local writes, asks the app for credentials, and then the service.
#[utoipa::path(
    get,
    path = "/write-checkpoint2.json",
    tag = "first sync",
    responses((status = 401, description = "Not here: ask the PowerSync service", body = ProblemBody)),
)]
pub(super) async fn write_checkpoint() -> Problem {
    not_here()
}

/// Checkpoints are not made on request here
///
/// The same for SDKs that ask in the newer way.
#[utoipa::path(
    post,
    path = "/sync/checkpoint-request",
    tag = "first sync",
    responses((status = 401, description = "Not here: ask the PowerSync service", body = ProblemBody)),
)]
pub(super) async fn checkpoint_request() -> Problem {
    not_here()
}

pub(super) fn not_here() -> Problem {
    let message = "not here: only the PowerSync service knows whether a device's writes have arrived; its credentials should name \
                   the service while it has local writes";
    Problem::new(StatusCode::UNAUTHORIZED, "not_here", message).sends_elsewhere()
}
