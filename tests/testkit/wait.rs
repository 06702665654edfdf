//! Polls until a condition holds, for what announces nothing.

use std::time::Duration;

use tokio::time::{sleep, timeout};

/// Longer than anything takes that a test waits for, also on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);

/// Between two questions: one client of a server may ask 50 times a second.
const PAUSE: Duration = Duration::from_millis(20);

/// Asks until `condition` holds.
///
/// # Panics
/// When it does not in time.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    for_some(what, async || condition().await.then_some(())).await;
}

/// Asks until there is an answer, and returns it.
///
/// # Panics
/// When there is none in time.
pub async fn for_some<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            sleep(PAUSE).await;
        }
    };
    let answered = timeout(LIMIT, asking).await;
    answered.unwrap_or_else(|_| panic!("not in time: {what}"))
}
