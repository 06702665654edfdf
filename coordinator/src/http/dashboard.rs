//! The dashboard.

use axum::Router;

/// Its page and its files.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
}
