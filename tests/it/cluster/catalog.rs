//! The catalog's contract, on SQLite and on Postgres.

/// Makes two tests of each function: with a catalog in SQLite, and with one in Postgres.
macro_rules! on_both {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            use crate::cluster::catalog::fixture::Fixture;
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(Fixture::sqlite().await).await;
            })+
        }
        mod postgres {
            use crate::cluster::catalog::fixture::Fixture;
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(Fixture::postgres().await).await;
            })+
        }
    };
}

mod browse;
mod concurrency;
mod control;
mod events;
mod fixture;
mod history;
mod jobs;
mod listing;
mod lost;
mod opening;
mod quarantine;
mod reuse;
