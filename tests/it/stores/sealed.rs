//! Sealed renditions: the libraries of both formats open them, and no other object of a store has its rows.

mod files;
mod programs;
mod support;
