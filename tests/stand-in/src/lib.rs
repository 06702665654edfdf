//! A stand-in for a PowerSync service.
//!
//! It speaks `POST /sync/stream` as powersync-service 1.25.0 does, byte for byte where a recording exists
//! (`../shared/recordings` when present; `tests/it/local/stand_in` compares), and takes its rows, its changes and its
//! faults from the test.
//!
//! ```text
//! request ─► server ─► auth ─► session ──lines──► body ─► client
//!              │                  │                 └ compression, cuts, counters
//!              ├ replay           └ checkpoint ◄─ data (tables ─► buckets) ◄─ put / remove / compact / redeploy
//!              └ faults
//! ```
//!
//! Weaker than the real thing: a compaction in the middle of a client's download can make that one checkpoint
//! incomplete until the next, and checksums and subkeys are deterministic but not those of the real service.

// A test ends by a panic, and so does what serves it.
#![allow(clippy::missing_panics_doc)]

mod auth;
mod builder;
mod data;
mod error;
mod hash;
mod http;
mod powersync;
mod request;
mod state;
mod wire;

pub use builder::Builder;
pub use data::{
    config::{Naming, Parameter, RowFilter, Source, StreamDefinition, SyncConfig},
    products::Products,
    row::Row,
};
pub use jsonwebtoken::Algorithm;
pub use powersync::{PowerSync, Transaction};
pub use request::{BSON_STREAM, NDJSON};
pub use state::{
    faults::{Fault, Faults},
    metrics::{Counters, Metrics, RequestRecord},
    replay::Replay,
};
