//! No two files need each other: neither rooms, nor files or folders next to each other at any depth, nor a face and
//! what is in its folder.

use std::collections::{BTreeMap, BTreeSet};

use crate::{code::Edge, finding::Finding, floors::Crate};

/// What a folder's face is called among what is in the folder.
const FACE: &str = "(face)";

/// Who needs whom within one folder, and the edges that say so.
type Graph<'a> = BTreeMap<&'a str, BTreeMap<&'a str, Vec<&'a Edge>>>;

pub(super) fn circles(member: &Crate, edges: &[Edge]) -> Vec<Finding> {
    let mut folders: BTreeMap<&str, Graph<'_>> = BTreeMap::new();
    for edge in edges {
        let (Some(from), Some(to)) = (member.within(&edge.from), member.within(&edge.to)) else {
            continue;
        };
        for folder in above(from)
            .into_iter()
            .filter(|folder| above(to).contains(folder))
        {
            let (from, to) = (unit(folder, from), unit(folder, to));
            if let (Some(from), Some(to)) = (from, to)
                && from != to
            {
                let graph = folders.entry(folder).or_default();
                graph
                    .entry(from)
                    .or_default()
                    .entry(to)
                    .or_default()
                    .push(edge);
                graph.entry(to).or_default();
            }
        }
    }
    let found = folders.iter().flat_map(|(folder, graph)| {
        let circles = circles_of(graph);
        circles
            .into_iter()
            .map(move |circle| tell(member, folder, graph, &circle))
    });
    found.collect()
}

/// The folders that a file lies in or is the face of, the crate's own (an empty text) included.
fn above(file: &str) -> Vec<&str> {
    let own = file.strip_suffix(".rs").unwrap_or(file);
    let ends = own.match_indices('/').map(|(at, _)| &own[..at]);
    [""].into_iter().chain(ends).chain([own]).collect()
}

/// What a file belongs to among what is in a folder: a file with the folder of its name, or the folder's face.
fn unit<'a>(folder: &str, file: &'a str) -> Option<&'a str> {
    let own = file.strip_suffix(".rs").unwrap_or(file);
    let is_root = folder.is_empty() && ["lib", "main"].contains(&own);
    if own == folder || is_root || own.strip_suffix("/mod") == Some(folder) {
        return Some(FACE);
    }
    let rest = match folder {
        "" => own,
        _ => own.strip_prefix(folder)?.strip_prefix('/')?,
    };
    rest.split('/').next()
}

/// The groups of two and more that all reach each other.
fn circles_of<'a>(graph: &Graph<'a>) -> Vec<BTreeSet<&'a str>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> = graph
        .keys()
        .map(|unit| (*unit, reach(graph, unit)))
        .collect();
    let mut circles = BTreeSet::new();
    for (unit, others) in &reached {
        let circle: BTreeSet<&str> = others
            .iter()
            .copied()
            .filter(|other| reached[other].contains(unit))
            .collect();
        if circle.len() > 1 {
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}

fn reach<'a>(graph: &Graph<'a>, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&str> = vec![from];
    while let Some(unit) = next.pop() {
        for other in graph.get(unit).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(*other) {
                next.push(other);
            }
        }
    }
    reached
}

fn tell(member: &Crate, folder: &str, graph: &Graph<'_>, circle: &BTreeSet<&str>) -> Finding {
    let names = circle.iter().copied().collect::<Vec<_>>().join(", ");
    let mut ties = String::new();
    let mut first = None;
    for from in circle {
        for (to, edges) in graph[from].iter().filter(|(to, _)| circle.contains(*to)) {
            let Some(edge) = edges.first() else {
                continue;
            };
            first.get_or_insert(edge);
            let Edge {
                from: file,
                line,
                path,
                ..
            } = edge;
            let more = match edges.len() {
                1 => String::new(),
                count => format!(" and {} more", count - 1),
            };
            ties += &format!("\n    {from} -> {to}: {file}:{line}: `{path}`{more}");
        }
    }
    let place = match folder {
        "" => member.sources().to_owned(),
        _ => format!("{}/{folder}", member.sources()),
    };
    let text = format!(
        "in {place}, {names} need each other: move what they share into a file below{ties}"
    );
    let (file, line) = first.map_or((member.root, 0), |edge| (edge.from.as_str(), edge.line));
    Finding::new("circles", file, line, text)
}
