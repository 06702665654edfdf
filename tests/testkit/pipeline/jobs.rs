//! Jobs as the coordinator makes them.

use std::time::Duration;

use chrono::Utc;
use seedbed_protocol::{
    Attempt, JobId, JsonObject, RunId, StoreId,
    manifest::{FullReason, Manifest},
    message::{Scope, SeedJob, Start, StreamSubscription},
};
use serde_json::Value;

/// `job`, starting from the snapshot of `manifest`.
pub fn starting_from(manifest: &Manifest, job: SeedJob) -> SeedJob {
    SeedJob {
        start: Start::Base(Box::new(manifest.clone().into())),
        ..job
    }
}

/// A job for a store with these claims.
///
/// # Panics
/// When the claims are no object or the id is not a store's.
pub fn job(store: &str, claims: Value, subscriptions: Vec<StreamSubscription>) -> SeedJob {
    let Value::Object(claims) = claims else {
        panic!("claims are an object")
    };
    SeedJob {
        run_id: RunId::new(),
        job_id: JobId::new(),
        scope: Scope {
            store_id: StoreId::new(store).expect("a store id"),
            claims: JsonObject(claims),
        },
        parameters: JsonObject::default(),
        default_streams: true,
        subscriptions,
        attempt: Attempt::FIRST,
        deadline: Utc::now() + Duration::from_secs(120),
        start: Start::Full(FullReason::First),
    }
}
