//! Which file needs which: a line of one file that names what another file defines.

use std::collections::BTreeSet;

use super::{
    modules::{Code, NamedPath},
    resolve::{passed, resolve},
};

/// A file that needs another one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// The file that names it.
    pub from: String,
    /// The line.
    pub line: usize,
    /// The path, as it is written.
    pub path: String,
    /// The file that defines it.
    pub to: String,
    /// The files of the modules that the path names on its way.
    pub by_way_of: Vec<String>,
}

/// The edges of a crate, each path once a line. One that ends where it starts is among them if it passes other modules.
pub fn edges(code: &Code) -> Vec<Edge> {
    let mut edges = BTreeSet::new();
    for path in &code.paths {
        let from = &code.modules[path.module].file;
        let by_way_of: Vec<_> = passed(code, path.module, &path.segments)
            .into_iter()
            .map(|module| code.modules[module].file.clone())
            .collect();
        for to in resolve(code, path.module, &path.segments) {
            let to_file = &code.modules[to].file;
            if is_face_of(code, path, to) || to_file == from && by_way_of.is_empty() {
                continue;
            }
            edges.insert(Edge {
                from: from.clone(),
                line: path.line,
                path: path.segments.join("::"),
                to: to_file.clone(),
                by_way_of: by_way_of.clone(),
            });
        }
    }
    edges.into_iter().collect()
}

/// Whether this is a face that passes on what is in its own room: it does not need it itself. Who asks for it there is
/// counted as asking the file that defines it.
fn is_face_of(code: &Code, path: &NamedPath, to: usize) -> bool {
    let above = std::iter::successors(Some(to), |module| code.modules[*module].parent);
    path.is_reexport && above.skip(1).any(|module| module == path.module)
}
