//! Keeps catalog and object storage in agreement: garbage collection, a short history, the record of freshness, rebuilding a lost catalog, verifying snapshots, taking them
//! back; and what a fleet needs ([`plan`]).
//!
//! In: a catalog and object storage. Out: what was removed, taken in or found, as numbers. Knows nothing of runs. Each can
//! be killed at any point: nothing is left that the next call does not continue with.

mod cleanup;
mod error;
mod freshness;
mod gc;
mod history;
pub mod plan;
mod rebuild;
mod verify;
mod withdraw;

pub use self::{
    cleanup::{keep_clean, remove_objects},
    error::GcError,
    freshness::keep_freshness,
    gc::{Collected, Collector},
    history::{Keep, forget, keep_short},
    rebuild::{RebuildError, Rebuilt, rebuild},
    verify::{VerifiedFile, Verifier, VerifyError},
    withdraw::withdraw,
};
