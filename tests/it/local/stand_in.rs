//! The stand-in PowerSync service, held against recordings of a real one and against its own promises.

mod client;
mod faults;
mod live;
mod program;
mod protocol;
mod recordings;
mod sync_streams;
mod tokens;
