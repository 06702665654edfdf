//! The plan: the first sweep, a usual one, what is stored, and what a month costs.

use std::time::Duration;

use seedbed_protocol::manifest::RenditionKind;
use serde::Serialize;

use super::{
    coefficients::BUSY,
    fleet::Fleet,
    forms,
    sweep::{Slot, SweepCost, Ways, sweep},
};

/// A month, in seconds and in hours.
const MONTH: f64 = MONTH_HOURS * 3600.0;
const MONTH_HOURS: f64 = 730.0;

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// How often the fleet is swept, and how long that may take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// From the start of one sweep to that of the next.
    pub every: Duration,
    /// How long a sweep may take.
    pub within: Duration,
    /// How often each store is downloaded in full all the same (`sync.full_every`).
    pub full_every: Option<Duration>,
    /// First launches of apps in a month.
    pub first_launches: f64,
}

/// How long snapshots stay, as `[retention]` says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retention {
    /// Snapshots of each store.
    pub keep: u32,
    /// For how long one stays after another took its place.
    pub min_age: Duration,
}

/// What things cost, in any currency.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Prices {
    /// A core with its memory and disk, for an hour.
    pub core_hour: f64,
    /// A GiB of object storage, for a month.
    pub gib_month: f64,
    /// 1,000 objects written.
    pub thousand_puts: f64,
    /// A GiB that leaves the object storage for devices.
    pub gib_out: f64,
}

/// About what the large clouds ask for in US dollars.
impl Default for Prices {
    fn default() -> Self {
        Self {
            core_hour: 0.05,
            gib_month: 0.023,
            thousand_puts: 0.005,
            gib_out: 0.09,
        }
    }
}

/// What lies in the object storage.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Storage {
    /// Bytes of one snapshot of each store, in every rendition.
    pub snapshot_bytes: f64,
    /// Snapshots of a store at a time, on average.
    pub snapshots: f64,
    /// Bytes of all of them.
    pub bytes: f64,
    /// Bytes that are uploaded in a month.
    pub uploaded_bytes: f64,
    /// Objects that are written in a month.
    pub puts: f64,
    /// Bytes that devices download in a month.
    pub downloaded_bytes: f64,
}

/// What a month costs, in the currency of the prices.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Money {
    /// The service's CPU for the sweeps.
    pub service: f64,
    /// The workers, if they run only while there are jobs.
    pub workers: f64,
    /// The workers of a usual sweep, if they run all the time.
    pub workers_always_on: f64,
    /// Object storage: what lies there.
    pub storage: f64,
    /// Object storage: requests.
    pub requests: f64,
    /// What devices download.
    pub downloads: f64,
    /// All of it, with workers that run only while there are jobs.
    pub total: f64,
}

/// A plan.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Plan {
    /// What it is for.
    pub fleet: Fleet,
    /// Seconds from the start of one sweep to that of the next.
    pub every: f64,
    /// Seconds that a sweep may take.
    pub within: f64,
    /// The first sweep, or one in full.
    pub first: SweepCost,
    /// Each later sweep.
    pub usual: SweepCost,
    /// The object storage.
    pub storage: Storage,
    /// The prices that were taken.
    pub prices: Prices,
    /// A month of usual sweeps.
    pub money: Money,
}

/// Returns the plan for `fleet`, swept at this pace into `renditions`, with slots that have `cache` bytes of page cache.
pub fn plan(
    fleet: Fleet,
    pace: Pace,
    retention: Retention,
    renditions: &[RenditionKind],
    cache: f64,
    prices: Prices,
) -> Plan {
    let (_, cpu) = forms::all(renditions);
    let slot = Slot {
        cache,
        largest: fleet.largest,
        row_bytes: fleet.row_bytes,
        renditions: cpu,
        sealed: renditions.iter().filter(|kind| kind.is_sealed()).count() as f64,
    };
    let (every, within) = (pace.every.as_secs_f64(), pace.within.as_secs_f64());
    let in_full = Ways {
        full: (fleet.stores, fleet.rows),
        ..Ways::default()
    };
    let usual = sweep(usual_ways(fleet, pace), slot, within);
    let storage = storage(fleet, retention, renditions, usual.snapshots, pace);
    Plan {
        fleet,
        every,
        within,
        first: sweep(in_full, slot, within),
        usual,
        storage,
        prices,
        money: money(&usual, &storage, prices, MONTH / every),
    }
}

/// How the stores of a usual sweep are seeded.
fn usual_ways(fleet: Fleet, pace: Pace) -> Ways {
    // Each store between three quarters of the time and all of it.
    let due = pace.full_every.map_or(0.0, |full_every| {
        (pace.every.as_secs_f64() / (0.875 * full_every.as_secs_f64())).min(1.0)
    });
    let rest = 1.0 - due;
    let changed = fleet.changed_stores * rest;
    Ways {
        full: (fleet.stores * due, fleet.rows * due),
        base: (fleet.stores * changed, fleet.rows * changed),
        changes: fleet.rows * changed * fleet.changed_rows,
        unchanged: fleet.stores * (rest - changed),
    }
}

/// What lies in the object storage if a sweep makes so many new `snapshots`.
fn storage(
    fleet: Fleet,
    retention: Retention,
    renditions: &[RenditionKind],
    snapshots: f64,
    pace: Pace,
) -> Storage {
    let (share, _) = forms::all(renditions);
    let snapshot_bytes = fleet.rows * fleet.row_bytes * share;
    let every = pace.every.as_secs_f64();
    let sweeps = MONTH / every;
    let made = snapshots / fleet.stores;
    // Besides the live one: those that are kept in any case, or those that are too young to go.
    let young = made * retention.min_age.as_secs_f64() / every;
    let older = f64::from(retention.keep.saturating_sub(1)).max(young);
    // The data in each rendition, and the manifest.
    let objects = renditions.len() as f64 + 1.0;
    let sizes = renditions.iter().map(|&kind| forms::cost(kind).0);
    let smallest = sizes.fold(1.0, f64::min);
    Storage {
        snapshot_bytes,
        snapshots: 1.0 + older,
        bytes: snapshot_bytes * (1.0 + older),
        uploaded_bytes: snapshot_bytes * made * sweeps,
        puts: snapshots * objects * sweeps,
        downloaded_bytes: pace.first_launches * fleet.rows / fleet.stores
            * fleet.row_bytes
            * smallest,
    }
}

/// What so many sweeps cost in a month.
fn money(usual: &SweepCost, storage: &Storage, prices: Prices, sweeps: f64) -> Money {
    let hours = |cpu: f64| sweeps * cpu / BUSY / 3600.0;
    let money = Money {
        service: hours(usual.service_cpu) * prices.core_hour,
        workers: hours(usual.worker_cpu) * prices.core_hour,
        workers_always_on: usual.cores * MONTH_HOURS * prices.core_hour,
        storage: storage.bytes / GIB * prices.gib_month,
        requests: storage.puts / 1000.0 * prices.thousand_puts,
        downloads: storage.downloaded_bytes / GIB * prices.gib_out,
        total: 0.0,
    };
    let total = money.service + money.workers + money.storage + money.requests + money.downloads;
    Money { total, ..money }
}

#[cfg(test)]
mod tests {
    use seedbed_protocol::manifest::{Encoding, Form};

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn fleet() -> Fleet {
        Fleet {
            stores: 3_000.0,
            rows: 60e6,
            largest: 500_000.0,
            row_bytes: 1_000.0,
            changed_stores: 0.2,
            changed_rows: 0.01,
        }
    }

    fn made(fleet: Fleet, pace: Pace) -> Plan {
        let retention = Retention {
            keep: 2,
            min_age: DAY,
        };
        let kinds = [RenditionKind {
            form: Form::File,
            encoding: Encoding::Identity,
        }];
        plan(fleet, pace, retention, &kinds, 0.0, Prices::default())
    }

    fn daily() -> Pace {
        Pace {
            every: DAY,
            within: Duration::from_secs(1_200),
            full_every: None,
            first_launches: 0.0,
        }
    }

    #[test]
    fn a_first_sweep_moves_every_row_and_a_usual_one_what_has_changed() {
        let plan = made(fleet(), daily());
        assert!((plan.first.rows - 60e6).abs() < 1.0);
        assert!((plan.usual.rows - 120_000.0).abs() < 1.0);
        assert!((plan.usual.snapshots - 600.0).abs() < 1e-6);
        // 60,000,000 rows at 32 µs are 1,920 s of 960 s each; 60,000,000 at 4.5 µs and 3,000 stores 284 s.
        assert!((plan.first.service_processes, plan.first.cores) == (3.0, 1.0));
        assert!((plan.usual.service_processes, plan.usual.cores) == (1.0, 1.0));
    }

    #[test]
    fn more_is_never_cheaper() {
        let plan = made(fleet(), daily());
        let mut larger = fleet();
        larger.stores *= 2.0;
        larger.rows *= 2.0;
        larger.changed_stores *= 2.0;
        let more = made(larger, daily());
        assert!(more.money.total > plan.money.total);
        assert!(more.first.service_cpu > plan.first.service_cpu);
        let hourly = Pace {
            every: DAY / 24,
            ..daily()
        };
        assert!(made(fleet(), hourly).money.total > plan.money.total);
        let in_full = Pace {
            full_every: Some(DAY * 7),
            ..daily()
        };
        assert!(made(fleet(), in_full).usual.worker_cpu > plan.usual.worker_cpu);
    }

    #[test]
    fn what_is_stored_follows_the_retention() {
        let plan = made(fleet(), daily());
        assert!((plan.storage.bytes - 2.0 * 60e9).abs() < 1.0);
        let hourly = Pace {
            every: DAY / 24,
            ..daily()
        };
        // A fifth of the stores change each hour, and each snapshot stays for a day: 4.8 besides the live one.
        let snapshots = made(fleet(), hourly).storage.snapshots;
        assert!((snapshots - 5.8).abs() < 1e-9);
    }
}
