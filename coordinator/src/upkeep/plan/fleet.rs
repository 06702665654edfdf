//! What is to be seeded: how many stores and rows, and how much of them changes from sweep to sweep.

use std::time::Duration;

use serde::Serialize;

use super::coefficients::FILE_ROW_BYTES;
use crate::catalog::KnownFleet;

/// Stores and rows, and what changes of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Fleet {
    /// Stores.
    pub stores: f64,
    /// Rows of all of them.
    pub rows: f64,
    /// Rows of the largest.
    pub largest: f64,
    /// Bytes of a SQLite file for a row.
    pub row_bytes: f64,
    /// The share of stores that change from one sweep to the next.
    pub changed_stores: f64,
    /// The share of a changed store's rows that have changed.
    pub changed_rows: f64,
}

/// What is given of a [`Fleet`]; the rest comes from the catalog, or is assumed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct FleetNumbers {
    /// Stores.
    pub stores: Option<u64>,
    /// Rows of a store, on average.
    pub rows: Option<u64>,
    /// Rows of the largest store.
    pub largest: Option<u64>,
    /// Bytes of a SQLite file for a row.
    pub row_bytes: Option<u64>,
    /// The share of stores that change from one sweep to the next.
    pub changed_stores: Option<f64>,
    /// The share of a changed store's rows that have changed.
    pub changed_rows: Option<f64>,
}

/// What is assumed to change if neither the catalog nor numbers tell: of stores, and of a changed store's rows.
const CHANGED_STORES: f64 = 0.2;
const CHANGED_ROWS: f64 = 0.01;

impl FleetNumbers {
    /// Returns whether the size of the fleet is known without a catalog.
    pub fn suffice(&self) -> bool {
        self.stores.is_some() && self.rows.is_some()
    }

    /// Returns the fleet, with what `known` says of what is not given; `None` if neither says how large it is.
    pub fn fleet(&self, known: &KnownFleet) -> Option<Fleet> {
        let stores = self.stores.unwrap_or(known.stores) as f64;
        let mean = match self.rows {
            Some(rows) => rows as f64,
            None if known.seeded > 0 => known.rows as f64 / known.seeded as f64,
            None => return None,
        };
        if stores < 1.0 {
            return None;
        }
        // Numbers that were given are not mixed with those of another fleet.
        let known_largest = self.rows.map_or(known.largest, |_| 0);
        let largest = self.largest.unwrap_or(known_largest) as f64;
        let known_row_bytes = (known.rows > 0).then(|| known.bytes as f64 / known.rows as f64);
        let row_bytes = self.row_bytes.map(|bytes| bytes as f64);
        Some(Fleet {
            stores,
            rows: stores * mean,
            largest: largest.max(mean),
            row_bytes: row_bytes.or(known_row_bytes).unwrap_or(FILE_ROW_BYTES),
            changed_stores: self
                .changed_stores
                .or(known.changed_stores)
                .unwrap_or(CHANGED_STORES),
            changed_rows: self
                .changed_rows
                .or(known.changed_rows)
                .unwrap_or(CHANGED_ROWS),
        })
    }

    /// Returns how long it is from one sweep to the next: as given, else as `known`, else a day.
    pub fn every(given: Option<Duration>, known: &KnownFleet) -> Duration {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        given.or(known.every).unwrap_or(DAY)
    }
}
