//! States that heal by themselves: each test breaks a real part under running programs, and shows that nobody has to help.

mod broker;
mod catalog;
mod escaping;
mod keys;
mod large_messages;
mod presence;
mod refused;
mod rows;
mod runs;
mod storm;
mod stream;
mod tokens;
