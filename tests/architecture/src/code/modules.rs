//! What is known of a crate: its modules by name, what each defines and imports, and every path that its code names.

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::Finding;

/// A crate that was read.
#[derive(Debug, Default)]
pub struct Code {
    /// All modules; the first is the root.
    pub(crate) modules: Vec<Module>,
    /// Every path that code outside tests names.
    pub(crate) paths: Vec<NamedPath>,
    /// Files that are only compiled for tests.
    pub test_files: BTreeSet<String>,
    /// Files that are no Rust, and `mod` lines that lead nowhere.
    pub findings: Vec<Finding>,
}

impl Code {
    /// The files of its modules.
    pub fn files(&self) -> BTreeSet<&str> {
        let files = self.modules.iter().map(|module| module.file.as_str());
        files.collect()
    }
}

/// A module: a file, or a `mod x { .. }` within one.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) file: String,
    pub(crate) parent: Option<usize>,
    pub(crate) children: BTreeMap<String, usize>,
    /// Names of what it defines.
    pub(crate) items: BTreeSet<String>,
    pub(crate) imports: Vec<Import>,
}

/// A leaf of a `use` tree.
#[derive(Debug)]
pub(crate) struct Import {
    /// The name that it gives; `None` for `*`.
    pub(crate) name: Option<String>,
    pub(crate) path: Vec<String>,
}

/// A path that stands somewhere in a module's code.
#[derive(Debug)]
pub(crate) struct NamedPath {
    pub(crate) module: usize,
    pub(crate) line: usize,
    pub(crate) segments: Vec<String>,
    /// Whether it is a `pub use` of any kind.
    pub(crate) is_reexport: bool,
}
