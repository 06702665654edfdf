//! `GET /database` and the files behind it: who gets what, and who does not.

mod access;
mod files;
mod forms;
mod keys;
mod support;
