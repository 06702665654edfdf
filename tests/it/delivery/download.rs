//! `GET /database` and the files behind it: who gets what, and who does not.

pub(crate) mod access;
mod keys;
