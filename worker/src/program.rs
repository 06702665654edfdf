//! The program `seedbed-worker`: reads settings, runs one worker until a signal, and answers probes. It starts while RabbitMQ is
//! away, and takes jobs as soon as that is there.
//!
//! Exit codes: 0, it was told to stop and nothing is left undone; 1, something failed; 2, the command line or
//! the settings are wrong and nothing was started; 3, nothing was started, and it may start later; 130, told to stop twice.

use std::{io, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use clap::Parser;
use seedbed_protocol::{
    broker::{self, Broker, BrokerConfig, BrokerError},
    objects::StorageError,
    process::{FAILED, LATER, Signals, USAGE, interrupt, may_listen_later, runtime},
    say,
    settings::{self, CONFIG_VARIABLE, SettingsError},
    snapshots::SnapshotRepository,
    telemetry::{LogConfig, Telemetry, TelemetryError},
};
use serde::Deserialize;
use tracing::{info, warn};

use crate::{
    seed::ConfigError,
    service::{HealthServer, Shutdown, Worker},
    settings::{
        BucketsConfig, PowerSyncConfig, SchemaConfig, SnapshotsConfig, TokenConfig, VerifyConfig,
        WorkerConfig, WorkerSettings,
    },
};

/// Takes seed jobs from RabbitMQ and turns each into one verified snapshot.
#[derive(Debug, Parser)]
#[command(
    name = "seedbed-worker",
    version,
    after_help = "Example:\n  seedbed-worker --config /etc/seedbed.toml --slots 8\n\nSettings come from ./seedbed.toml or --config, and from SEEDBED_* variables, the same as for \
                  `seedbed`.\nSIGTERM or Ctrl-C: takes no more jobs and finishes those it has within \
                  worker.grace; what is left goes back to the queue. The second one stops at once.\n\
                  Exit codes: 0 stopped, 1 something failed, 2 wrong usage or settings, 3 nothing was started and it may start later,\n\
                  130 stopped at once."
)]
pub struct Arguments {
    /// The settings file [default: ./seedbed.toml if there is one]
    #[arg(long, value_name = "FILE", env = CONFIG_VARIABLE)]
    config: Option<PathBuf>,
    /// Jobs at a time [default: worker.slots, or the number of cores]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    slots: Option<u16>,
}

/// The sections that a worker reads. [`settings::load`] refuses sections that neither program has.
#[derive(Debug, Deserialize)]
struct Settings {
    powersync: PowerSyncConfig,
    token: TokenConfig,
    schema: SchemaConfig,
    snapshots: SnapshotsConfig,
    verify: VerifyConfig,
    buckets: BucketsConfig,
    broker: BrokerConfig,
    worker: WorkerConfig,
    log: LogConfig,
}

/// Why the worker did not start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
enum WorkerError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error(
        "broker.url is memory:, which no other process can reach; set it to the amqp:// URL of your RabbitMQ, \
         or use `seedbed local`"
    )]
    MemoryBroker,
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error(transparent)]
    Snapshots(#[from] StorageError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("cannot listen at {address} (worker.listen): {source}")]
    Listen {
        address: std::net::SocketAddr,
        source: io::Error,
    },
    #[error("cannot start the runtime: {0}")]
    Runtime(io::Error),
    #[error("cannot listen for signals: {0}")]
    Signals(io::Error),
}

impl WorkerError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Settings(_) | Self::Telemetry(_) | Self::MemoryBroker | Self::Config(_) => USAGE,
            Self::Snapshots(error) if !error.is_transient() => USAGE,
            Self::Snapshots(_) | Self::Runtime(_) | Self::Signals(_) => LATER,
            Self::Broker(error) if error.is_configuration() => USAGE,
            // Until RabbitMQ is there, it waits.
            Self::Broker(_) => FAILED,
            Self::Listen { source, .. } if may_listen_later(source) => LATER,
            Self::Listen { .. } => USAGE,
        }
    }
}

/// Runs the program; prints what went wrong as `error: …`.
pub fn main(arguments: Arguments) -> ExitCode {
    let file = arguments.config.clone();
    let located = |error| match error {
        WorkerError::Settings(error) => settings::locate(file.as_deref(), error).into(),
        error => error,
    };
    match run(arguments).map_err(located) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(arguments: Arguments) -> Result<(), WorkerError> {
    let mut settings: Settings = settings::load(arguments.config.as_deref())?;
    if arguments.slots.is_some() {
        settings.worker.slots = arguments.slots;
    }
    let runtime = runtime().map_err(WorkerError::Runtime)?;
    runtime.block_on(async {
        let telemetry = Telemetry::start("seedbed-worker", &settings.log)?;
        for warning in settings::warnings(arguments.config.as_deref())? {
            warn!("{warning}");
        }
        let worked = work(settings).await;
        telemetry.shutdown();
        worked
    })
}

async fn work(settings: Settings) -> Result<(), WorkerError> {
    let Settings {
        powersync,
        token,
        schema,
        snapshots,
        verify,
        buckets,
        broker,
        worker,
        log,
    } = settings;
    let settings = WorkerSettings {
        powersync,
        token,
        schema,
        snapshots,
        verify,
        buckets,
        worker,
        log,
    };
    settings.check()?;
    broker.check(settings.worker.job_timeout)?;
    if broker.is_memory() {
        return Err(WorkerError::MemoryBroker);
    }
    let signals = Signals::new().map_err(WorkerError::Signals)?;
    let snapshots = SnapshotRepository::open(&settings.snapshots)?;
    let broker = broker::start(&broker)?;
    let worker = Worker::new(&settings, snapshots, broker.clone())?;
    let shutdown = Shutdown::default();
    let listen = settings.worker.listen;
    let _probes = listen
        .map(|address| probes(address, &broker, &shutdown))
        .transpose()?;
    let stopping = stop_at(signals, shutdown.clone(), settings.worker.grace);
    tokio::spawn(stopping);
    worker.run(shutdown).await?;
    broker.close().await;
    Ok(())
}

fn probes(
    address: std::net::SocketAddr,
    broker: &Arc<dyn Broker>,
    shutdown: &Shutdown,
) -> Result<HealthServer, WorkerError> {
    let probes = HealthServer::start(address, broker.clone(), shutdown.drain.clone())
        .map_err(|source| WorkerError::Listen { address, source })?;
    info!(address = %probes.address(), "answering probes");
    Ok(probes)
}

/// Drains the worker at the first signal, for at most `grace`; ends the process at the second.
async fn stop_at(mut signals: Signals, shutdown: Shutdown, grace: Duration) {
    signals.next().await;
    warn!("taking no more jobs; finishing those in flight (once more to stop at once)");
    shutdown.drain.cancel();
    tokio::select! {
        () = tokio::time::sleep(grace) => shutdown.abort.cancel(),
        () = signals.next() => interrupt(),
    }
    signals.next().await;
    interrupt();
}
