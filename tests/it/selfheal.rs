//! States that heal by themselves: each test breaks a real part under running programs, and shows that nobody has to help.

mod outcomes;
mod quarantine;
mod storm;
