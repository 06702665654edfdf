//! Keys that verify tokens: configured ones and published ones, each with the algorithms that it is used with, and what a token's
//! header says.
//!
//! In: a token, and keys. Out: its claims, or why it is not accepted. Published keys are cached in memory; a kill leaves nothing.

mod algorithm;
mod fetch;
mod jwks;
mod key;
mod published;
mod verify;

pub(super) use self::key::Key;
pub use self::key::KeyError;
pub(in crate::http) use self::{
    fetch::{FetchError, read},
    jwks::Jwks,
    verify::{LEEWAY, TokenHeader, verified},
};
