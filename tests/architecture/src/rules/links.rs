//! Links of the documentation lead somewhere: to a file, a folder, or a heading.

use std::collections::{BTreeMap, BTreeSet};

use crate::{finding::Finding, tree::Tree};

/// Relative links in `*.md` files that lead nowhere.
pub fn links(tree: &Tree) -> Vec<Finding> {
    let pages = tree.files().filter(|(path, _)| path.ends_with(".md"));
    let mut findings = Vec::new();
    for (page, text) in pages {
        for (line, link) in links_in(text) {
            if let Some(wrong) = wrong(tree, page, link) {
                findings.push(Finding::new(
                    "links",
                    page,
                    line,
                    format!("`{link}`: {wrong}"),
                ));
            }
        }
    }
    findings
}

/// What is wrong with a link of a page.
fn wrong(tree: &Tree, page: &str, link: &str) -> Option<String> {
    let is_elsewhere = link.starts_with("//")
        || link
            .split(['/', '#', '?'])
            .next()
            .is_some_and(|start| start.contains(':'));
    if link.is_empty() || is_elsewhere {
        return None;
    }
    let (path, heading) = link
        .split_once('#')
        .map_or((link, None), |(path, heading)| (path, Some(heading)));
    let folder = page.rsplit_once('/').map_or("", |(folder, _)| folder);
    let target = if path.is_empty() {
        Some(page.to_owned())
    } else {
        joined(folder, path)
    };
    let Some(target) = target else {
        return Some("leads out of the repository".to_owned());
    };
    if !tree.has(&target) {
        return Some(format!("there is no {target}"));
    }
    let heading = heading?;
    let text = tree.text(&target).filter(|_| target.ends_with(".md"));
    match text {
        Some(text) if !anchors(text).contains(heading) => {
            Some(format!("{target} has no heading with this anchor"))
        }
        _ => None,
    }
}

/// A path that a page in `folder` names, from the root.
fn joined(folder: &str, path: &str) -> Option<String> {
    let path = path.replace("%20", " ");
    let start = if path.starts_with('/') { "" } else { folder };
    let mut parts: Vec<&str> = start.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The links of a page with their lines; not those in code.
fn links_in(text: &str) -> Vec<(usize, &str)> {
    let mut links = Vec::new();
    for (number, line) in lines_of_prose(text) {
        let mut rest = line;
        while let Some((_, after)) = rest.split_once("](") {
            let end = after.find(')').unwrap_or(after.len());
            let link = after[..end].split_whitespace().next().unwrap_or_default();
            links.push((number, link.trim_matches(['<', '>'])));
            rest = &after[end..];
        }
        for start in ["href=\"", "src=\""] {
            links.extend(
                line.split(start)
                    .skip(1)
                    .filter_map(|after| Some((number, after.split_once('"')?.0))),
            );
        }
        if let Some((_, link)) = line
            .strip_prefix('[')
            .and_then(|line| line.split_once("]: "))
        {
            links.push((number, link.split_whitespace().next().unwrap_or_default()));
        }
    }
    links
}

/// The anchors that a page has: of its headings, as GitHub makes them, and those that it names itself.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (_, line) in lines_of_prose(text) {
        for start in ["id=\"", "name=\""] {
            anchors.extend(
                line.split(start)
                    .skip(1)
                    .filter_map(|after| Some(after.split_once('"')?.0.to_owned())),
            );
        }
        let heading = line.trim_start_matches('#');
        let depth = line.len() - heading.len();
        if !(1..=6).contains(&depth) || !heading.starts_with(' ') {
            continue;
        }
        let anchor = anchor(heading.trim());
        let count = seen.entry(anchor.clone()).or_insert(0);
        anchors.insert(if *count == 0 {
            anchor
        } else {
            format!("{anchor}-{count}")
        });
        *count += 1;
    }
    anchors
}

fn anchor(heading: &str) -> String {
    // Of a link in a heading, its text.
    let mut text = String::new();
    let mut rest = heading;
    while let Some((before, after)) = rest.split_once("](") {
        text += before;
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    text += rest;
    let kept = text
        .chars()
        .filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// The lines that are no code, with what is in backticks left out of none but fenced ones.
fn lines_of_prose(text: &str) -> Vec<(usize, &str)> {
    let mut fence: Option<&str> = None;
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let start = line.trim_start();
        let mark = ["```", "~~~"]
            .into_iter()
            .find(|mark| start.starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            (Some(_), _) => {}
            (None, None) => lines.push((index + 1, line)),
        }
    }
    lines
}
