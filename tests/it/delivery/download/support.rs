//! A server with stores that clients ask for.

use serde_json::json;
use testkit::{
    powersync::PowerSync,
    program::Program,
    serving::{Answer, Serving},
};

pub(crate) const SERVE: [&str; 4] = ["local", "--stores", "stores.ndjson", "--serve"];

/// Stores of the service; the last two have names that are paths and HTML elsewhere.
pub(super) const STORES: [&str; 4] = ["1", "2", "a b%2F..&<i>\"", "ünï?#"];

pub(crate) async fn service_and_program() -> (PowerSync, Program) {
    let service = PowerSync::builder().start().await.unwrap();
    let mut program = Program::new(&service);
    Serving::prepare(&mut program);
    let mut list = String::new();
    for (seed, store) in STORES.iter().enumerate() {
        service.add_generated_store(store, 20, seed as u64 + 1);
        list += &format!("{}\n", json!({ "store_id": store }));
    }
    program.write("stores.ndjson", list);
    (service, program)
}

/// A server whose stores are all seeded.
pub(super) async fn seeded() -> (PowerSync, Program, Serving) {
    let (service, program) = service_and_program().await;
    let serving = serve(&program).await;
    (service, program, serving)
}

pub(super) async fn serve(program: &Program) -> Serving {
    let serving = Serving::start(program, &SERVE).await;
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
