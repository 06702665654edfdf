//! States that heal by themselves: each test breaks a real part under running programs, and shows that nobody has to help.

mod escaping;
mod keys;
mod refused;
mod rows;
mod storm;
mod stream;
mod tokens;
