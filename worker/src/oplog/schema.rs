//! The app's schema.

pub mod tables;
