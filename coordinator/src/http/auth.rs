//! Who may ask for what.

pub mod admin;
pub mod clients;
pub mod jwks;
