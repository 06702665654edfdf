//! A room uses rooms of lower floors, and nothing uses what the crate's root defines.

use std::collections::BTreeSet;

use crate::{
    code::{Code, Edge},
    finding::Finding,
    floors::Crate,
};

const RULE: &str = "floors";

pub(super) fn floors(member: &Crate, code: &Code, edges: &[Edge]) -> Vec<Finding> {
    let rooms: BTreeSet<&str> = code
        .files()
        .into_iter()
        .filter_map(|file| member.room(file))
        .collect();
    let mut findings = Vec::new();
    for room in rooms.iter().filter(|room| member.floor(room).is_none()) {
        let text =
            format!("the room `{room}` has no floor: add it to tests/architecture/src/floors.rs");
        findings.push(Finding::new(RULE, member.root, 0, text));
    }
    let listed = member
        .floors
        .iter()
        .flat_map(|floor| floor.split_whitespace());
    for room in listed.filter(|room| !rooms.contains(room)) {
        let text =
            format!("there is no room `{room}`: take it out of tests/architecture/src/floors.rs");
        findings.push(Finding::new(RULE, member.root, 0, text));
    }
    // Of a file that uses a room in many lines, the first.
    let mut told = BTreeSet::new();
    for edge in edges {
        if let Some((room, finding)) = climb(member, edge)
            && told.insert((edge.from.as_str(), room))
        {
            findings.push(finding);
        }
    }
    findings
}

/// What is wrong with an edge: the room where it may not end, or pass through.
fn climb<'a>(member: &Crate, edge: &'a Edge) -> Option<(&'a str, Finding)> {
    // The root may name every room.
    let from = member.room(&edge.from)?;
    let finding = |text: String| {
        let text = format!("`{}`: {text}", edge.path);
        Finding::new(RULE, &edge.from, edge.line, text)
    };
    if edge.to == member.root {
        let text = "uses what the crate's root defines: move it into a room below both";
        return Some((&edge.to, finding(text.to_owned())));
    }
    let mut ends = edge.by_way_of.first().into_iter().chain([&edge.to]);
    ends.find_map(|file| {
        let room = member.room(file).filter(|room| *room != from)?;
        let (own, other) = (member.floor(from)? + 1, member.floor(room)? + 1);
        let text = format!(
            "the room `{from}` (floor {own}) uses `{room}` (floor {other}); a room uses lower floors only: move what \
             both need below both, or hand it over as an argument"
        );
        (other >= own).then(|| (room, finding(text)))
    })
}
