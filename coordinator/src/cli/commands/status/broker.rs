//! What the broker says, for `seedbed status`.

use std::time::Duration;

use seedbed_protocol::{
    broker::{self, Trouble},
    say,
};
use serde_json::{Value, json};

use crate::{
    catalog::Catalog,
    runs::{Fleet, Parked, RunError, Standing},
    settings::Settings,
};

/// How long to wait for the broker.
const BROKER_TIMEOUT: Duration = Duration::from_secs(10);

/// What the queues hold.
pub(super) struct Queues {
    pub(super) parked: Parked,
    pub(super) standing: Standing,
}

/// What the broker says of itself and its queues.
#[derive(Default)]
pub(super) struct BrokerStatus {
    /// Unknown if there is no broker, or it does not answer soon.
    pub(super) queues: Option<Queues>,
    /// What keeps jobs from being published.
    pub(super) trouble: Option<Trouble>,
}

impl BrokerStatus {
    /// Asks the broker, if there is one. The heartbeats that wait are recorded.
    pub(super) async fn ask(settings: &Settings, catalog: &Catalog) -> Self {
        if settings.broker.is_memory() {
            return Self::default();
        }
        let mut config = settings.broker.clone();
        config.connect_timeout = config.connect_timeout.min(BROKER_TIMEOUT);
        let broker = match broker::connect(&config).await {
            Ok(broker) => broker,
            Err(error) => {
                say!("queues and workers are not shown: {error}");
                return Self {
                    queues: None,
                    trouble: Some(Trouble::away(error)),
                };
            }
        };
        let trouble = broker.probe().await;
        let asked = async {
            let fleet = Fleet::new(catalog.clone(), broker.clone());
            fleet.catch_up().await?;
            Ok::<_, RunError>(Queues {
                parked: Parked::of(catalog, broker.as_ref(), i64::MAX).await?,
                standing: Standing::of(broker.as_ref()).await?,
            })
        };
        let queues = asked.await;
        broker.close().await;
        if let Err(error) = &queues {
            say!("queues and workers are not shown: {error}");
        }
        Self {
            queues: queues.ok(),
            trouble,
        }
    }

    /// For programs; null if there is nothing to say.
    pub(super) fn trouble_json(&self) -> Value {
        let trouble = self.trouble.as_ref();
        trouble.map_or(
            Value::Null,
            |trouble| json!({"trouble": trouble.name(), "message": trouble.to_string()}),
        )
    }
}
