//! A crate's sources as the rules see them: modules, and every path that one of them names.
//!
//! In: the crate's root file and the files that its `mod` lines lead to. Out: [`Edge`]s, each from the file
//! that names something to the file that defines it, through however many re-exports. What is only compiled for tests
//! does not count.

mod edges;
mod modules;
mod parse;
mod resolve;
mod tokens;

pub use edges::{Edge, edges};
pub use modules::Code;
pub use parse::parse;
