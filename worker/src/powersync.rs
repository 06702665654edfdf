//! Speaks to the PowerSync service: a token for a store, `POST /sync/stream` with it, and the lines of the answer.
//!
//! - In: the service's settings, a store's scope, and the request that the operation log wants sent.
//! - Out: whole, unread [`Line`]s, or a [`StreamError`] that says whether another try could help.
//! - A redirect to another origin is not followed, and a link-local address is not asked.
//! - Knows nothing of databases, jobs or snapshots.
//! - A kill leaves nothing: a stream is only read, and tokens live in this process alone.
//!
//! Where to look: a 429 is waited out in `gate` (`seed/streams.rs` says for how long), a token is signed in `token`, errors and their hints are in `error`.

mod client;
mod error;
mod framing;
mod gate;
mod hints;
mod line;
mod lines;
mod reopenings;
mod tempo;
mod token;

pub use client::PowerSyncClient;
pub use error::StreamError;
pub use framing::{LineBuffer, MAX_LINE_BYTES};
pub(crate) use gate::{Pass, StreamGate};
pub use line::{Line, LineFormat};
pub use lines::{Lines, MAX_BYTES_WITHOUT_OPERATION};
pub(crate) use reopenings::Reopenings;
pub use token::{RESERVED_CLAIMS, TokenError, TokenSigner, public_jwks};
