//! What the broker says, for `seedbed status`.

use std::{sync::Arc, time::Duration};

use seedbed_protocol::{
    broker::{self, Broker, Trouble},
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

/// The broker, if there is one and it answers.
pub(super) enum BrokerLink {
    /// Jobs wait in a process of their own, or nowhere.
    None,
    Away(Trouble),
    Here(Arc<dyn Broker>),
}

impl BrokerLink {
    pub(super) async fn connect(settings: &Settings) -> Self {
        if settings.broker.is_memory() {
            return Self::None;
        }
        let mut config = settings.broker.clone();
        config.connect_timeout = config.connect_timeout.min(BROKER_TIMEOUT);
        match broker::connect(&config).await {
            Ok(broker) => Self::Here(broker),
            Err(error) => {
                say!("queues and workers are not shown: {error}");
                Self::Away(Trouble::away(error))
            }
        }
    }

    /// Asks for its queues. The heartbeats that wait are recorded.
    pub(super) async fn ask(&self, catalog: &Catalog) -> BrokerStatus {
        let broker = match self {
            Self::None => return BrokerStatus::default(),
            Self::Away(trouble) => {
                return BrokerStatus {
                    queues: None,
                    trouble: Some(trouble.clone()),
                };
            }
            Self::Here(broker) => broker,
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
        if let Err(error) = &queues {
            say!("queues and workers are not shown: {error}");
        }
        BrokerStatus {
            queues: queues.ok(),
            trouble,
        }
    }

    pub(super) async fn close(&self) {
        if let Self::Here(broker) = self {
            broker.close().await;
        }
    }
}

impl BrokerStatus {
    /// For programs; null if there is nothing to say.
    pub(super) fn trouble_json(&self) -> Value {
        let trouble = self.trouble.as_ref();
        trouble.map_or(
            Value::Null,
            |trouble| json!({"trouble": trouble.name(), "message": trouble.to_string()}),
        )
    }
}
