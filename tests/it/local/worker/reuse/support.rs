//! A store with a first snapshot, jobs that start from it, and what two snapshots have to have in common.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use seedbed_protocol::manifest::{FullReason, Manifest, Way};
use seedbed_protocol::message::{BaseSnapshot, SeedJob, Start};
use seedbed_worker::settings::WorkerSettings;
use serde_json::{Value, json};
use testkit::{
    pipeline::{End, Pipeline, job, same_rows, starting_from},
    powersync::PowerSync,
};

pub(super) const STORE: &str = "7";

pub(super) const ROWS: u32 = 400;

/// A service, a worker, and the first snapshot of the store.
pub(super) struct Reuse {
    pub(super) service: PowerSync,
    pub(super) pipeline: Pipeline,
    pub(super) first: Manifest,
}

impl Reuse {
    pub(super) async fn start() -> Self {
        Self::start_with(ROWS, |_| {}).await
    }

    /// With so many rows, and with other settings.
    pub(super) async fn start_with(rows: u32, change: impl FnOnce(&mut WorkerSettings)) -> Self {
        let service = PowerSync::builder().start().await.unwrap();
        service.add_generated_store(STORE, rows, 1);
        let mut pipeline = Pipeline::start_with(&service, change).await;
        let first = pipeline.seed(STORE).await.unwrap();
        assert_eq!(first.way(), Way::Full(FullReason::First));
        Self {
            service,
            pipeline,
            first,
        }
    }

    /// A job that starts from `base`.
    pub(super) async fn job_from(&mut self, base: &Manifest) -> End {
        self.pipeline
            .end(starting_from(base, plain_job()))
            .await
            .unwrap()
    }

    /// The snapshot of a job that starts from the first one.
    pub(super) async fn made(&mut self) -> Manifest {
        let first = self.first.clone();
        match self.job_from(&first).await {
            End::Made(manifest) => *manifest,
            End::Unchanged(event) => panic!("{event:?}"),
        }
    }

    /// The snapshot of a job whose base was changed before it started.
    pub(super) async fn made_from(&mut self, change: impl FnOnce(&mut BaseSnapshot)) -> Manifest {
        let mut job = starting_from(&self.first, plain_job());
        if let Start::Base(base) = &mut job.start {
            change(base);
        }
        let made = self.pipeline.run(job).await.unwrap();
        same_rows(&self.service, STORE, &self.pipeline.file(&made));
        made
    }

    /// What a full download makes of the store now.
    pub(super) async fn scratch(&mut self) -> Content {
        let made = self.pipeline.seed(STORE).await.unwrap();
        Content::of(&self.pipeline.file(&made))
    }

    pub(super) fn change_rows(&self, rows: usize) {
        change_rows(&self.service, rows);
    }

    pub(super) fn first_file(&self) -> PathBuf {
        self.pipeline.file(&self.first)
    }
}

pub(super) fn plain_job() -> SeedJob {
    job(STORE, json!({ "store_id": STORE }), Vec::new())
}

/// Changes some of the store's products and removes one.
pub(super) fn change_rows(service: &PowerSync, rows: usize) {
    let products: Vec<_> = service.rows(STORE).take(rows + 1).collect();
    for product in &products[1..] {
        let mut row: Value = serde_json::from_str(&product.json).unwrap();
        row["id"] = product.id.clone().into();
        row["name"] = "renamed".into();
        service.put("products", row);
    }
    assert!(service.remove("products", &products[0].id));
}

/// What two snapshots of the same rows share, however they came to be.
#[derive(Debug, PartialEq)]
pub(in super::super) struct Content {
    pub(in super::super) products: Vec<String>,
    pub(in super::super) oplog: Vec<String>,
    pub(in super::super) buckets: Vec<String>,
    pub(in super::super) streams: Vec<String>,
}

impl Content {
    pub(in super::super) fn of(file: &Path) -> Self {
        let connection = Connection::open(file).unwrap();
        let lines = |query: &str| -> Vec<String> {
            let mut rows = connection.prepare(query).unwrap();
            let rows = rows.query_map([], |row| row.get(0)).unwrap();
            rows.collect::<Result<_, _>>().unwrap()
        };
        Self {
            products: lines("SELECT json_array(id, data) FROM ps_data__products ORDER BY id"),
            oplog: lines(
                "SELECT json_array(b.name, op_id, row_type, row_id, key, data, hash) FROM ps_oplog o \
                 JOIN ps_buckets b ON b.id = o.bucket ORDER BY b.name, op_id",
            ),
            buckets: lines(
                "SELECT json_array(name, last_op, last_applied_op, (add_checksum + op_checksum) & 0xffffffff) \
                 FROM ps_buckets WHERE last_op > 0 ORDER BY name",
            ),
            streams: lines(
                "SELECT json_array(stream_name, active, is_default, local_priority, local_params) \
                 FROM ps_stream_subscriptions ORDER BY 1",
            ),
        }
    }
}
