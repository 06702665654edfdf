//! What the storm rages over: servers that start a sweep every few seconds, workers, and real parts behind relays.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use rand::{Rng, rngs::StdRng};
use seedbed::catalog::Catalog;
use testkit::{
    cluster::Cluster,
    objects::ObjectServer,
    powersync::Fault,
    program::{Process, stop},
    servers::{Postgres, RabbitMq, Relay},
    serving::{SERVE, Serving},
};

const WORKERS: usize = 3;
const SERVERS: usize = 2;

/// Rows of each store: enough for several lines of data.
const ROWS: u32 = 200;

/// One request in so many fails, one stream in so many breaks off.
const ONE_IN: u64 = 20;

/// A cluster in which everything can be broken.
pub(super) struct World {
    /// Its parts.
    pub(super) cluster: Cluster,
    /// Its stores.
    pub(super) stores: Vec<String>,
    /// Its workers.
    pub(super) workers: Vec<Process>,
    /// What starts sweeps and records them.
    pub(super) servers: Vec<Process>,
    /// The way to the catalog.
    pub(super) database: Relay,
    /// Follows the catalog's server.
    pub(super) standby: Option<Postgres>,
    /// The way to the PowerSync service.
    pub(super) service: Relay,
    /// Where that leads.
    pub(super) service_port: u16,
    /// How often RabbitMQ ended by itself.
    pub(super) revivals: AtomicU32,
    catalog: Catalog,
    changes: u32,
}

impl World {
    pub(super) async fn start(stores: usize) -> Self {
        let objects = ObjectServer::s3().await;
        objects.faults.fail_one_in(ONE_IN);
        let rabbitmq = Arc::new(RabbitMq::start());
        let mut cluster = Cluster::on(rabbitmq, Some(objects)).await;
        let postgres = Arc::new(Postgres::start());
        let service_port = port_of(&cluster.service.endpoint());
        let service = Relay::to(service_port).await;
        let database = Relay::to(postgres.port()).await;
        let (direct, relayed) = (postgres.port(), database.port);
        let url = postgres.database();
        cluster.catalog_url = url.replace(&format!(":{direct}/"), &format!(":{relayed}/"));
        let standby = postgres.standby();
        cluster.postgres = postgres;
        let endpoint = format!("http://127.0.0.1:{}", service.port);
        let catalog_url = cluster.catalog_url.clone();
        for (setting, value) in [
            ("POWERSYNC__ENDPOINT", endpoint.as_str()),
            ("CATALOG__URL", &catalog_url),
            ("SERVE__SCHEDULE", "*/5 * * * * *"),
            // Queues are deleted one after the other, and each time the wait doubles.
            ("BROKER__LOST_AFTER", "5s"),
            ("RETENTION__KEEP", "1"),
            ("RETENTION__ORPHAN_AGE", "0s"),
        ] {
            cluster.program.set(setting, value);
        }
        let stores = cluster.add_stores(stores, ROWS);
        let cut = Fault::CutAfter { bytes: 4_000 };
        let faults = cluster.service.faults();
        faults.with_probability(1.0 / ONE_IN as f64, cut);
        let workers = cluster.start_workers(WORKERS);
        Serving::prepare(&mut cluster.program);
        let servers = (0..SERVERS).map(|_| cluster.program.start(&SERVE));
        Self {
            servers: servers.collect(),
            catalog: cluster.catalog().await,
            cluster,
            stores,
            workers,
            database,
            standby: Some(standby),
            service,
            service_port,
            revivals: AtomicU32::default(),
            changes: 0,
        }
    }

    /// Jobs that have ended so far; 0 while the catalog does not answer.
    ///
    /// # Panics
    /// When a program ended by itself.
    pub(super) async fn ended_jobs(&mut self) -> u64 {
        for process in self.workers.iter_mut().chain(&mut self.servers) {
            assert!(
                process.is_running(),
                "{}{}",
                process.output(),
                process.error()
            );
        }
        self.revive_rabbitmq();
        let runs = self.catalog.runs(10_000).await.unwrap_or_default();
        runs.iter().map(|run| run.totals.seeded).sum()
    }

    /// Everything that tells why nothing goes on.
    pub(super) async fn describe(&self) -> String {
        let pool = sqlx::PgPool::connect(&self.cluster.catalog_url).await;
        let pool = pool.expect("the catalog answers");
        let mut text = String::new();
        for sql in [
            "SELECT row_to_json(r)::text FROM (SELECT * FROM runs WHERE finished_at IS NULL) r",
            "SELECT row_to_json(j)::text FROM (SELECT store_id, state, attempt, worker, listed_at, moved_at, started_at, \
             retry_at, lost FROM jobs WHERE finished_at IS NULL LIMIT 20) j",
            "SELECT row_to_json(w)::text FROM workers w",
            "SELECT 'now: ' || floor(extract(epoch FROM now()) * 1000)::text",
        ] {
            let rows: Vec<String> = sqlx::query_scalar(sql).fetch_all(&pool).await.unwrap();
            text += &format!("{}\n", rows.join("\n"));
        }
        let status = self.cluster.program.run(&["status"]).await;
        text += &format!("{status}\n");
        for process in self.servers.iter().chain(&self.workers) {
            let log = process.error();
            let lines: Vec<&str> = log.lines().rev().take(15).collect();
            let lines: Vec<&str> = lines.into_iter().rev().collect();
            text += &format!("a program's last lines:\n{}\n", lines.join("\n"));
        }
        text
    }

    /// Changes a row of one store in four, so that sweeps have something to do.
    pub(super) fn change_rows(&mut self, dice: &mut StdRng) {
        self.changes += 1;
        for store in &self.stores {
            if dice.random_range(0..4) == 0 {
                let row = serde_json::json!({
                    "id": format!("{store}-changed"), "store_id": store, "name": format!("change {}", self.changes),
                });
                self.cluster.service.put("products", row);
            }
        }
    }

    /// Kills a worker; another one takes its place.
    pub(super) async fn kill_a_worker(&mut self, dice: &mut StdRng) {
        let victim = dice.random_range(0..WORKERS);
        let successor = self.cluster.program.start_worker();
        std::mem::replace(&mut self.workers[victim], successor)
            .kill()
            .await;
    }

    /// Kills a server; another one takes its place.
    pub(super) async fn kill_a_server(&mut self, dice: &mut StdRng) {
        let victim = dice.random_range(0..SERVERS);
        let successor = self.cluster.program.start(&SERVE);
        std::mem::replace(&mut self.servers[victim], successor)
            .kill()
            .await;
    }

    /// Kills every server while one waits for the list of stores, and starts others.
    pub(super) async fn kill_while_listing(&mut self) {
        let (list, real) = (
            self.cluster.program.path("stores.ndjson"),
            self.cluster.program.path("real.ndjson"),
        );
        std::fs::rename(&list, &real).expect("both are in the test's folder");
        let made = Command::new("mkfifo").arg(&list).status();
        assert!(made.is_ok_and(|status| status.success()), "mkfifo");
        // Opening it returns when a server reads it, and it reads on until the writer is gone.
        let path = list.clone();
        let writer =
            tokio::task::spawn_blocking(move || std::fs::File::options().write(true).open(path));
        let writer = writer
            .await
            .expect("it does not panic")
            .expect("it is there");
        for server in std::mem::take(&mut self.servers) {
            server.kill().await;
        }
        drop(writer);
        std::fs::rename(&real, &list).expect("both are in the test's folder");
        self.servers = (0..SERVERS)
            .map(|_| self.cluster.program.start(&SERVE))
            .collect();
    }

    /// Starts RabbitMQ again if it has ended by itself, as 3.10 may when virtual hosts are deleted under load. Answers
    /// whether it had.
    pub(super) fn revive_rabbitmq(&self) -> bool {
        let had_ended = self.cluster.rabbitmq.revive();
        self.revivals.fetch_add(u32::from(had_ended), Relaxed);
        had_ended
    }

    /// Runs `rabbitmqctl`, again if RabbitMQ ended meanwhile. Then it may have been carried out before, and fail.
    pub(super) fn ctl(&self, arguments: &[&str]) {
        let mut had_ended = false;
        while let Err(failed) = self.cluster.rabbitmq.try_ctl(arguments) {
            if !self.revive_rabbitmq() {
                assert!(had_ended, "{arguments:?} failed:\n{failed}");
                return;
            }
            had_ended = true;
        }
    }

    /// The name of the virtual host.
    pub(super) fn vhost(&self) -> &str {
        self.cluster
            .broker_url
            .rsplit_once('/')
            .expect("it has a path")
            .1
    }

    /// No more faults and no more scheduled sweeps.
    pub(super) async fn calm(&mut self) {
        self.cluster.service.faults().clear();
        if let Some(objects) = &self.cluster.objects {
            objects.faults.fail_one_in(0);
        }
        self.cluster.program.unset("SERVE__SCHEDULE");
        let server = self.cluster.program.start(&SERVE);
        stop(std::mem::replace(&mut self.servers, vec![server])).await;
        // For `gc`; servers refuse it.
        self.cluster.program.set("RETENTION__MIN_AGE", "0s");
        // A worker that was killed may have left its directory, which the next one removes.
        let successor = self.cluster.program.start_worker();
        let predecessor = std::mem::replace(&mut self.workers[0], successor);
        stop(vec![predecessor]).await;
    }
}

fn port_of(url: &str) -> u16 {
    let port = url.rsplit_once(':').expect("it has a port").1;
    port.parse().expect("it is a port")
}
