//! Buckets that several stores have are downloaded once: the cache that their operations are kept in.
//!
//! - In: the request and the lines of a store's streams, as they come, and an operation log to hand lines to.
//! - Out: a request that leaves out what the cache has, and the lines that it has, at the place where the service would have
//!   sent them.
//! - Two levels: a bounded directory of this worker, which dies with it, and, with `buckets.secret`, objects below `_buckets/` in
//!   the repository, for all workers. Neither is ever the only place of anything.
//! - A kill leaves a lease that expires, and objects without an entry, which `seedbed gc` removes.
//!
//! A cached bucket ends one operation early. The request claims what is cached, so the service sends the operation after it
//! first, on a stream opened with the store's own token. Only if that is to the letter the one the entry was made with, the
//! cached operations are used: so the service alone decides which buckets a store has, and an entry of another service
//! behind the same URL, whose ids begin at 1 again, is found out although its checksums may add up.
//!
//! A store whose buckets others have as well starts from a database that is prepared with their rows: see `template`.
//!
//! Read `session` first: it is what a job does. `cache` is what a worker has, `entry` what is authenticated.

mod cache;
mod candidates;
mod collect;
mod entry;
mod fill;
mod lease;
mod near;
mod operation;
mod session;
mod shared;
mod template;

pub(crate) use cache::BucketCache;
pub use collect::{CollectedBuckets, Keep, collect};
pub use entry::EntryError;
pub(crate) use session::{Next, Session};
pub(crate) use template::{Template, TemplateError};
