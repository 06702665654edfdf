//! What tests of the catalog share: a list of stores that waits, wrong clocks, and questions to the database.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use testkit::{cluster::Cluster, program::Program, serving::Serving, wait};

/// A list of stores in a database. Whoever reads it waits while it is locked.
pub(super) struct HeldList {
    locked: AnyConnection,
}

impl HeldList {
    /// Makes the list of `stores` the source of the cluster's programs, and locks it.
    pub(super) async fn of(cluster: &mut Cluster, stores: &[String]) -> Self {
        let url = cluster.postgres.database();
        let rows: Vec<String> = stores.iter().map(|store| format!("('{store}')")).collect();
        let table = format!(
            "CREATE TABLE stores (store_id text); INSERT INTO stores VALUES {}",
            rows.join(", ")
        );
        cluster.postgres.execute_in(&url, &table);
        cluster.program.set("SOURCE__URL", &url);
        let query = "SELECT store_id FROM stores";
        cluster.program.set("SOURCE__QUERY", query);
        let mut locked = connect(&url).await;
        sqlx::raw_sql("BEGIN; LOCK TABLE stores")
            .execute(&mut locked)
            .await
            .unwrap();
        Self { locked }
    }

    /// Lets readers go on.
    pub(super) async fn release(mut self) {
        let released = sqlx::raw_sql("ROLLBACK").execute(&mut self.locked);
        released.await.unwrap();
    }
}

pub(super) async fn connect(url: &str) -> AnyConnection {
    sqlx::any::install_default_drivers();
    AnyConnection::connect(url).await.unwrap()
}

/// The number that a query of the catalog answers with.
pub(super) async fn number(connection: &mut AnyConnection, query: &str) -> Option<i64> {
    sqlx::query_scalar(AssertSqlSafe(query.to_owned()))
        .fetch_one(connection)
        .await
        .unwrap()
}

/// The time of Postgres in Unix milliseconds, as an expression.
pub(super) const NOW: &str = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";

/// Makes programs that are started from now on start a run once, a moment from now. Returns when.
pub(super) async fn schedule_soon(program: &mut Program) -> DateTime<Utc> {
    // The first program of all is built before it starts.
    let settings = program.run(&["config"]).await;
    assert_eq!(settings.code, Some(0), "{settings}");
    let due = (Utc::now() + TimeDelta::seconds(4)).trunc_subsecs(0);
    let schedule = due.format("%-S %-M %-H %-d %-m *").to_string();
    program.set("SERVE__SCHEDULE", schedule);
    due
}

/// Sets the clock of programs that are started from now on, such as `+10m`.
pub(super) fn set_clock(program: &mut Program, offset: &str) {
    let library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
    program.set_variable("LD_PRELOAD", library);
    program.set_variable("FAKETIME", offset);
    program.set_variable("FAKETIME_DONT_FAKE_MONOTONIC", "1");
}

/// Starts a server that reads the configured source.
pub(super) async fn serve(cluster: &Cluster) -> Serving {
    Serving::start(&cluster.program, &["serve"]).await
}

/// Waits until a query of the catalog answers with a number that is not 0.
pub(super) async fn until(connection: &mut AnyConnection, query: &str) {
    wait::until(query, async || {
        number(connection, query).await.is_some_and(|n| n != 0)
    })
    .await;
}
