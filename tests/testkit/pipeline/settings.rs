//! The usual settings of a worker that a test runs.

use std::time::Duration;

use seedbed_protocol::{
    manifest::{Encoding, Form, RenditionKind},
    settings::{Secret, keys::SecretEncoding},
    snapshots::{SealingKeys, UnreadableRowsPolicy},
    telemetry::{LogConfig, LogFormat},
};
use seedbed_worker::settings::{
    BucketsConfig, PowerSyncConfig, SchemaConfig, SnapshotsConfig, StreamCompression, StreamFormat,
    TokenAlgorithm, TokenConfig, VerifyConfig, WorkerConfig, WorkerSettings,
};
use tempfile::TempDir;

use super::access::Access;

/// Settings for a worker against `service`, writing below `directory`; impatient where a test would wait.
pub fn settings(service: Access, directory: &TempDir) -> WorkerSettings {
    WorkerSettings {
        powersync: PowerSyncConfig {
            endpoint: service.endpoint,
            format: StreamFormat::Auto,
            compression: StreamCompression::None,
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(20),
            give_up_after: Duration::from_secs(2),
            max_streams: None,
            max_line_mib: 64,
        },
        token: TokenConfig {
            algorithm: TokenAlgorithm::HS256,
            secret: Some(Secret::new(service.secret)),
            secret_encoding: SecretEncoding::Auto,
            key_file: None,
            kid: Some(service.kid),
            subject: "seedbed".to_owned(),
            audience: None,
            lifetime: Duration::from_secs(300),
        },
        schema: SchemaConfig {
            file: None,
            subscription_ttl: Duration::from_secs(90 * 86_400),
        },
        snapshots: SnapshotsConfig {
            url: format!("file:{}", directory.path().join("snapshots").display()),
            renditions: vec![
                RenditionKind::file(Encoding::Identity),
                RenditionKind {
                    form: Form::Compact,
                    encoding: Encoding::Gzip,
                },
                RenditionKind {
                    form: Form::Stream,
                    encoding: Encoding::Zstd,
                },
            ],
            latest: false,
            unreadable_rows: UnreadableRowsPolicy::Warn,
            sealed: false,
            sealing_key: SealingKeys::default(),
        },
        // Whatever a test seeds, its forms are compared.
        verify: VerifyConfig {
            forms_every: 1,
            whole_every: 0,
        },
        buckets: BucketsConfig {
            enabled: true,
            secret: None,
            worker_mib: 64,
            stored_mib: 64,
            keep: Duration::from_secs(86_400),
            min_operations: 1000,
            prepare_from: 1000,
            lease: Duration::from_secs(10),
        },
        worker: WorkerConfig {
            slots: Some(2),
            directory: directory.path().join("work"),
            cache_mib: 16,
            fast_load: true,
            load_memory_mib: 16,
            base_cost: 0.2,
            max_attempts: 2,
            backoff: Duration::from_millis(20),
            max_backoff: Duration::from_millis(100),
            job_timeout: Duration::from_secs(120),
            job_deadline: Duration::from_secs(120),
            grace: Duration::ZERO,
            heartbeat: Duration::from_secs(10),
            listen: None,
        },
        log: LogConfig {
            level: "warn".to_owned(),
            format: LogFormat::Pretty,
        },
    }
}

/// Does with a job what is done in production, without compression: stores the file and the compact form, and compares the
/// forms of one job in a hundred.
pub fn as_shipped(settings: &mut WorkerSettings) {
    let forms = [Form::File, Form::Compact].into_iter();
    let encoding = Encoding::Identity;
    let kinds = forms.map(|form| RenditionKind { form, encoding });
    settings.snapshots.renditions = kinds.collect();
    settings.buckets.prepare_from = 50_000;
    settings.verify.forms_every = 100;
    settings.verify.whole_every = 10;
}
