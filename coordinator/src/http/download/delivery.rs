//! Which stores get snapshots now, as the catalog says: read every second, so that no request waits for it.

use std::{convert::Infallible, time::Duration};

use seedbed_protocol::{StoreId, manifest::Form};
use tokio::{sync::watch, time::timeout};
use tracing::warn;

use crate::{
    catalog::{Catalog, Delivery},
    http::problem::Problem,
};

/// Between two looks: how long a server may follow later.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a look may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a device gets no snapshot, whatever there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Withheld {
    /// No device gets any.
    SwitchedOff,
    /// The store is not in the share that gets this form.
    NotInShare,
}

impl Withheld {
    /// Returns the refusal of a download.
    pub(super) fn refusal(self) -> Problem {
        match self {
            Self::SwitchedOff => Problem::not_found(
                "switched_off",
                "no snapshots are handed out now; let the app do its initial sync",
            ),
            Self::NotInShare => Problem::not_found(
                "not_in_share",
                "this form is not handed out to this store yet; ask for another form, or let the app do its initial sync",
            ),
        }
    }
}

/// Which stores get snapshots, as it was read last.
pub(crate) struct Deliveries {
    catalog: Catalog,
    known: watch::Sender<Delivery>,
}

impl Deliveries {
    pub(super) fn new(catalog: Catalog) -> Self {
        Self {
            catalog,
            known: watch::Sender::default(),
        }
    }

    /// Reads it once. What was known before stays if that fails.
    pub(crate) async fn read(&self) {
        match timeout(PATIENCE, self.catalog.delivery()).await {
            Ok(Ok(delivery)) => drop(self.known.send_replace(delivery)),
            Ok(Err(error)) => warn!("which stores get snapshots stays as it was: {error}"),
            Err(_) => warn!("which stores get snapshots stays as it was: the catalog is slow"),
        }
    }

    /// Reads it again and again.
    pub(crate) async fn keep_current(&self) -> Infallible {
        loop {
            tokio::time::sleep(PAUSE).await;
            self.read().await;
        }
    }

    /// Returns why devices of a store get no snapshot in this form, if so.
    pub(crate) fn withholds(&self, store_id: &StoreId, form: Form) -> Option<Withheld> {
        let known = self.known.borrow();
        match known.allows(store_id, form) {
            true => None,
            false if known.is_off() => Some(Withheld::SwitchedOff),
            false => Some(Withheld::NotInShare),
        }
    }

    /// Returns whether no device gets any snapshot.
    pub(crate) fn is_off(&self) -> bool {
        self.known.borrow().is_off()
    }

    /// Returns a number that grows when what was read of snapshots before may not be true any more.
    pub(crate) fn change(&self) -> i64 {
        self.known.borrow().change
    }
}
