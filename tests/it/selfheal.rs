//! States that heal by themselves: each test breaks a real part under running programs, and shows that nobody has to help.

mod catalog;
mod escaping;
mod keys;
mod large_messages;
mod outcomes;
mod parked;
mod presence;
mod quarantine;
mod refused;
mod rows;
mod storm;
mod stream;
mod tokens;
