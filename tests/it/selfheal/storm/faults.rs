//! The faults: each breaks something, keeps it broken for a while, and repairs it.

use std::{sync::Arc, time::Duration};

use rand::{Rng, rngs::StdRng};
use tokio::time::sleep;

use super::world::World;

/// What may break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FaultKind {
    WorkerKilled,
    ServerKilled,
    MemoryAlarm,
    RabbitMqRestarted,
    PowerSyncAway,
    DatabaseFailedOver,
    KilledWhileListing,
}

impl FaultKind {
    pub(super) const ALL: [Self; 7] = [
        Self::WorkerKilled,
        Self::ServerKilled,
        Self::MemoryAlarm,
        Self::RabbitMqRestarted,
        Self::PowerSyncAway,
        Self::DatabaseFailedOver,
        Self::KilledWhileListing,
    ];

    /// A kind by chance: processes die more often than the rest.
    pub(super) fn drawn(dice: &mut StdRng) -> Self {
        match dice.random_range(0..17) {
            0..8 => Self::WorkerKilled,
            8..12 => Self::ServerKilled,
            other => Self::ALL[other - 10],
        }
    }

    /// Breaks it, and repairs it.
    pub(super) async fn strike(self, world: &mut World, dice: &mut StdRng) {
        match self {
            Self::WorkerKilled => world.kill_a_worker(dice).await,
            Self::ServerKilled => world.kill_a_server(dice).await,
            Self::MemoryAlarm => raise_memory_alarm(world).await,
            Self::RabbitMqRestarted => world.cluster.rabbitmq.restart(),
            Self::PowerSyncAway => {
                world.service.cut();
                sleep(outage()).await;
                world.service.lead_to(world.service_port);
            }
            Self::DatabaseFailedOver => fail_over(world).await,
            Self::KilledWhileListing => world.kill_while_listing().await,
        }
    }
}

/// How long a part is away: `SEEDBED_STORM_OUTAGE`, in seconds.
fn outage() -> Duration {
    let seconds = std::env::var("SEEDBED_STORM_OUTAGE");
    let seconds = seconds.map_or(5, |seconds| seconds.parse().expect("seconds"));
    Duration::from_secs(seconds)
}

async fn raise_memory_alarm(world: &World) {
    let watermark = |level| {
        let rabbitmq = &world.cluster.rabbitmq;
        rabbitmq.ctl(&["set_vm_memory_high_watermark", level]);
    };
    watermark("0.00001");
    sleep(outage()).await;
    watermark("0.6");
}

/// The standby takes over; it gets a standby of its own.
async fn fail_over(world: &mut World) {
    world.database.cut();
    let standby = world.standby.take().expect("there always is one");
    standby.promote();
    let primary = Arc::new(standby);
    world.standby = Some(primary.standby());
    world.database.lead_to(primary.port());
    // The last handle: the old primary ends.
    world.cluster.postgres = primary;
}
