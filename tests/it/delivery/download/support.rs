//! A server with stores that clients ask for.

use testkit::{
    powersync::PowerSync,
    program::Program,
    serving::{Answer, LOCAL_SERVE, Serving, prepared},
};

/// Stores of the service; the last two have names that are paths and HTML elsewhere.
pub(super) const STORES: [&str; 4] = ["1", "2", "a b%2F..&<i>\"", "ünï?#"];

pub(super) async fn service_and_program() -> (PowerSync, Program) {
    prepared(&STORES, 20).await
}

/// A server whose stores are all seeded.
pub(super) async fn seeded() -> (PowerSync, Program, Serving) {
    let (service, program) = service_and_program().await;
    let serving = serve(&program).await;
    (service, program, serving)
}

pub(super) async fn serve(program: &Program) -> Serving {
    let serving = Serving::start(program, &LOCAL_SERVE).await;
    for store in STORES {
        serving
            .database_until(store, |answer| answer.status == 200)
            .await;
    }
    serving
}

pub(super) fn url_of(answer: &Answer) -> String {
    answer.json()["databaseUrl"].as_str().unwrap().to_owned()
}
