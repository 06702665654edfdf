//! The queues: their names, where their messages are parked, and how often a message may come back.

use std::fmt;

/// How often a job may come back unsettled before it is parked: a job that kills its worker would otherwise kill one
/// after the other.
pub const RETURN_LIMIT: u32 = 5;

/// The same for messages that kill no consumer, since a consumer that is stopped gives back all that it holds.
/// RabbitMQ 4 drops what came back 20 times to a queue without a limit of its own
/// (<https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling>).
const NO_RETURN_LIMIT: u32 = 1_000_000_000;

/// Where messages wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Queue {
    /// Seed jobs, for workers.
    Jobs,
    /// Seed events, for the coordinator.
    Events,
    /// Jobs that were parked, by a worker, by RabbitMQ or by hand. The coordinator sees to it that each has an outcome in
    /// the catalog; what it cannot read stays for a person.
    ParkedJobs,
    /// Events that were parked, for a person.
    ParkedEvents,
    /// Heartbeats of workers, for the coordinator: of no use after a while, so it keeps few and none for long.
    Workers,
}

impl Queue {
    /// Every queue.
    pub const ALL: [Self; 5] = [
        Self::Jobs,
        Self::Events,
        Self::ParkedJobs,
        Self::ParkedEvents,
        Self::Workers,
    ];

    /// Returns the queue's name on a broker.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jobs => "seed.jobs",
            Self::Events => "seed.events",
            Self::ParkedJobs => "seed.jobs.dead",
            Self::ParkedEvents => "seed.events.dead",
            Self::Workers => "seed.workers",
        }
    }

    /// Returns where its messages go after they have waited for a retry: only jobs are retried, parked ones too. `None`
    /// when its messages cannot wait.
    pub const fn retried_in(self) -> Option<Self> {
        match self {
            Self::Jobs | Self::ParkedJobs => Some(Self::Jobs),
            Self::Events | Self::ParkedEvents | Self::Workers => None,
        }
    }

    /// Returns how often a message may come back to this queue unsettled.
    pub(super) const fn return_limit(self) -> u32 {
        match self {
            Self::Jobs => RETURN_LIMIT,
            Self::Events | Self::ParkedJobs | Self::ParkedEvents | Self::Workers => NO_RETURN_LIMIT,
        }
    }

    /// Returns where this queue's messages are parked; a parked one stays where it is, and so does a heartbeat.
    pub const fn parking(self) -> Self {
        match self {
            Self::Jobs | Self::ParkedJobs => Self::ParkedJobs,
            Self::Events | Self::ParkedEvents => Self::ParkedEvents,
            Self::Workers => Self::Workers,
        }
    }
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
