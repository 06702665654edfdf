//! Finds what people have to be told of, and sends it, until it is told to stop.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::webhook::Webhook;
use crate::{
    catalog::{Catalog, CatalogError, DueNotice, FreshnessPromise, NoticeEvent},
    settings::NotifyConfig,
};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(5);

/// How long a try may take, and other servers leave the notice alone.
const LEASE: Duration = Duration::from_secs(60);

/// The longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_secs(3_600);

/// Tells people by a webhook.
pub struct Notifier {
    catalog: Catalog,
    webhook: Webhook,
    events: Vec<NoticeEvent>,
    promise: FreshnessPromise,
    /// Whether stores are seeded in this process alone.
    is_local: bool,
    max_attempts: u32,
    backoff: Duration,
}

impl Notifier {
    /// Tells of what happens in `catalog`; `None` without a webhook. `is_local` as for [`Catalog::find_notices`].
    pub fn new(
        catalog: Catalog,
        config: &NotifyConfig,
        promise: FreshnessPromise,
        is_local: bool,
    ) -> Option<Self> {
        let webhook = Webhook::new(config)?;
        let is_wanted = |event: &NoticeEvent| config.events.iter().any(|name| name == event.name());
        Some(Self {
            catalog,
            webhook,
            events: NoticeEvent::EACH.into_iter().filter(is_wanted).collect(),
            promise,
            is_local,
            max_attempts: config.max_attempts,
            backoff: config.backoff,
        })
    }

    /// Finds and sends until `stop` is cancelled. Errors are left to the next round.
    pub async fn run(&self, stop: &CancellationToken) {
        loop {
            let round = async {
                self.catalog
                    .find_notices(&self.events, self.promise, self.is_local)
                    .await?;
                self.send_due().await
            };
            tokio::select! {
                () = stop.cancelled() => return,
                done = round => if let Err(error) = done {
                    warn!("people are told later: {error}");
                },
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PAUSE.min(self.backoff)) => {}
            }
        }
    }

    async fn send_due(&self) -> Result<(), CatalogError> {
        while let Some(DueNotice { notice, attempts }) = self.catalog.take_notice(LEASE).await? {
            match self.webhook.send(&notice).await {
                Ok(()) => {
                    info!(notice = notice.id, "people are told");
                    self.catalog.notice_is_sent(&notice.id).await?;
                }
                Err(error) => {
                    let tried = u32::try_from(attempts + 1).unwrap_or(u32::MAX);
                    let is_over = tried >= self.max_attempts || !error.is_transient();
                    let doublings = tried.saturating_sub(1).min(16);
                    let pause = (self.backoff * 2_u32.pow(doublings)).min(MAX_PAUSE);
                    warn!(
                        notice = notice.id,
                        is_over, "a notice has not arrived: {error}"
                    );
                    let pause = (!is_over).then_some(pause);
                    self.catalog
                        .notice_has_failed(&notice.id, &error.to_string(), pause)
                        .await?;
                }
            }
        }
        Ok(())
    }
}
