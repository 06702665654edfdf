//! What one sweep costs.

use serde::Serialize;

use super::coefficients::{
    BASE_ROW, BASE_STORE, BUSY, COORDINATOR_STORE, FULL_OF_DOWNLOAD, FULL_ROW, FULL_STORE,
    SERVICE_REQUEST, SERVICE_ROW, SERVICE_STREAMS, SLOT_DISK, SLOT_MEMORY, SLOTS_A_CORE,
    STREAMED_OF_FILE, UNCHANGED_STORE,
};

/// How the stores of a sweep are seeded.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Ways {
    /// Stores that are downloaded in full, and their rows.
    pub(super) full: (f64, f64),
    /// Stores that continue their last snapshot, and the rows in it.
    pub(super) base: (f64, f64),
    /// Rows of those that are downloaded.
    pub(super) changes: f64,
    /// Stores that have not changed.
    pub(super) unchanged: f64,
}

/// What a slot of a worker needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slot {
    /// Its page cache, in bytes.
    pub cache: f64,
    /// Rows of the largest store.
    pub largest: f64,
    /// Bytes of a file for a row.
    pub row_bytes: f64,
    /// CPU to make the renditions besides the file, in seconds a row.
    pub renditions: f64,
    /// Renditions that are encrypted copies of a database.
    pub sealed: f64,
}

/// One sweep.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SweepCost {
    /// Stores with a new snapshot.
    pub snapshots: f64,
    /// Rows that are downloaded.
    pub rows: f64,
    /// Bytes of streams, decompressed.
    pub streamed_bytes: f64,
    /// The service's CPU, in seconds.
    pub service_cpu: f64,
    /// Its processes, each with a core, for the time that the sweep may take.
    pub service_processes: f64,
    /// The workers' CPU, in seconds.
    pub worker_cpu: f64,
    /// Their cores, for the time that the sweep may take.
    pub cores: f64,
    /// Their slots (`worker.slots`, of all of them).
    pub slots: f64,
    /// Memory of all slots, in bytes.
    pub memory: f64,
    /// Disk of all slots, in bytes, if each has the largest store.
    pub disk: f64,
    /// The CPU of the coordinator, its catalog and RabbitMQ, in seconds.
    pub coordinator_cpu: f64,
    /// The shortest time that it can take, in seconds: that of the largest store by itself.
    pub shortest: f64,
}

/// Returns what a sweep costs that may take `within` seconds.
pub(super) fn sweep(ways: Ways, slot: Slot, within: f64) -> SweepCost {
    let Ways {
        full: (full_stores, full_rows),
        base: (base_stores, base_rows),
        changes,
        unchanged,
    } = ways;
    let stores = full_stores + base_stores + unchanged;
    let rows = full_rows + changes;
    // A changed store is compared first, and then opens a second stream.
    let requests = stores + base_stores;
    let service_cpu = rows * SERVICE_ROW + requests * SERVICE_REQUEST;
    let worker_cpu = full_stores * FULL_STORE
        + rows * FULL_ROW
        + base_stores * BASE_STORE
        + base_rows * BASE_ROW
        + (full_rows + base_rows) * slot.renditions
        + unchanged * UNCHANGED_STORE;
    let cores = (worker_cpu / (within * BUSY)).ceil().max(1.0);
    let slots = cores * SLOTS_A_CORE;
    let processes = (service_cpu / (within * BUSY)).ceil();
    let of_largest = match full_stores > 0.0 {
        true => SERVICE_ROW * FULL_OF_DOWNLOAD,
        false => BASE_ROW,
    };
    SweepCost {
        snapshots: full_stores + base_stores,
        rows,
        streamed_bytes: rows * slot.row_bytes * STREAMED_OF_FILE,
        service_cpu,
        service_processes: processes.max((slots / SERVICE_STREAMS).ceil()).max(1.0),
        worker_cpu,
        cores,
        slots,
        memory: slots * (slot.cache + SLOT_MEMORY),
        disk: slots * (SLOT_DISK + slot.sealed) * slot.largest * slot.row_bytes,
        coordinator_cpu: stores * COORDINATOR_STORE,
        shortest: slot.largest * (of_largest + slot.renditions),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: Slot = Slot {
        cache: 0.0,
        largest: 0.0,
        row_bytes: 1.0,
        renditions: 0.0,
        sealed: 0.0,
    };

    /// The figures of `tests/bench/README.md`: how the stores were seeded, and the workers' CPU in seconds.
    #[test]
    fn a_sweep_costs_what_the_benchmarks_measured() {
        let full = |stores: f64, rows: f64| Ways {
            full: (stores, stores * rows),
            ..Ways::default()
        };
        let base = |stores: f64, rows: f64, changes: f64, unchanged: f64| Ways {
            base: (stores, stores * rows),
            changes: stores * changes,
            unchanged,
            ..Ways::default()
        };
        for (what, ways, measured) in [
            ("seed, 1,000 rows", full(1.0, 1e3), 0.0097),
            ("seed, 100,000 rows", full(1.0, 1e5), 0.51),
            ("seed, 500,000 rows", full(1.0, 5e5), 2.5),
            ("small_stores, 1 slot", full(1e3, 1e3), 1e3 * 0.0096),
            ("guide, 50 stores", full(50.0, 1e3), 0.48),
            ("guide, 100,000 rows", full(1.0, 1e5), 0.51),
            // Of the time, since CPU was not measured: one core is busy, and a little more where stores are seeded, as in the
            // full sweep beside it.
            (
                "reuse, 100 of 500,000",
                base(1.0, 5e5, 100.0, 0.0),
                1.43 * 1.16,
            ),
            ("reuse, nothing of 1,000", base(0.0, 0.0, 0.0, 1e3), 1.1),
            ("reuse, 5 %", base(50.0, 1e3, 10.0, 950.0), 1.51),
            ("reuse, all 1,000", base(1e3, 1e3, 10.0, 0.0), 8.94 * 1.16),
        ] {
            let ratio = sweep(ways, SLOT, 60.0).worker_cpu / measured;
            assert!((0.8..1.25).contains(&ratio), "{what}: {ratio}");
        }
    }

    #[test]
    fn the_service_is_asked_once_for_each_store_and_twice_for_a_changed_one() {
        let ways = Ways {
            base: (10.0, 1e4),
            unchanged: 90.0,
            ..Ways::default()
        };
        let cost = sweep(ways, SLOT, 60.0);
        assert!((cost.service_cpu - 110.0 * SERVICE_REQUEST).abs() < 1e-9);
        assert!((cost.service_processes, cost.cores, cost.slots) == (1.0, 1.0, 2.0));
    }
}
