//! The faults: each breaks something, keeps it broken for a while, and repairs it.

use std::{sync::Arc, time::Duration};

use rand::{Rng, rngs::StdRng};
use seedbed_protocol::broker::Queue;
use tokio::time::sleep;

use super::world::World;

/// What may break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FaultKind {
    WorkerKilled,
    ServerKilled,
    QueueDeleted,
    VhostDeleted,
    PermissionsRevoked,
    MemoryAlarm,
    RabbitMqRestarted,
    PowerSyncAway,
    DatabaseFailedOver,
    KilledWhileListing,
}

impl FaultKind {
    pub(super) const ALL: [Self; 10] = [
        Self::WorkerKilled,
        Self::ServerKilled,
        Self::MemoryAlarm,
        Self::RabbitMqRestarted,
        Self::PowerSyncAway,
        Self::DatabaseFailedOver,
        Self::KilledWhileListing,
        Self::QueueDeleted,
        Self::VhostDeleted,
        Self::PermissionsRevoked,
    ];

    /// A kind by chance: processes die more often than the rest.
    pub(super) fn drawn(dice: &mut StdRng) -> Self {
        match dice.random_range(0..20) {
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
            Self::QueueDeleted => delete_queue(world, dice),
            Self::VhostDeleted => delete_vhost(world),
            Self::PermissionsRevoked => revoke_permissions(world).await,
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

fn delete_queue(world: &World, dice: &mut StdRng) {
    let queue = Queue::ALL[dice.random_range(0..Queue::ALL.len())].to_string();
    let vhost = ["--vhost", world.vhost()];
    let delete = ["delete_queue", &queue];
    world.ctl(&[vhost, delete].concat());
}

/// With all queues and what is in them. Made again at once, as whoever deleted it by mistake would.
fn delete_vhost(world: &World) {
    world.ctl(&["delete_vhost", world.vhost()]);
    world.ctl(&["add_vhost", world.vhost()]);
    allow_everything(world);
}

async fn revoke_permissions(world: &World) {
    world.ctl(&["clear_permissions", "--vhost", world.vhost(), "guest"]);
    // What a connection was allowed is remembered until it ends.
    world.ctl(&["close_all_connections", "dropped by the storm"]);
    sleep(outage()).await;
    allow_everything(world);
}

fn allow_everything(world: &World) {
    let vhost = ["--vhost", world.vhost()];
    let allow = ["set_permissions", "guest", ".*", ".*", ".*"];
    world.ctl(&[&allow[..1], &vhost, &allow[1..]].concat());
}

async fn raise_memory_alarm(world: &World) {
    let watermark = |level| world.ctl(&["set_vm_memory_high_watermark", level]);
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
