//! Follows a path through modules, imports and re-exports to the module that defines what it names.

use std::collections::HashSet;

use super::modules::Code;

/// Names that are being looked up, by module: an import may lead back to itself.
type Pending = HashSet<(usize, String)>;

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A module itself.
    Module(usize),
    /// An item that this module defines.
    Item(usize),
}

/// The modules that a path, named in module `from`, leads to; none if it is not about this crate. Where it leads out by
/// way of a re-export, that is the module that has the re-export.
pub(crate) fn resolve(code: &Code, from: usize, segments: &[String]) -> Vec<usize> {
    let places = follow(code, from, segments, &mut Pending::new());
    if places.is_empty() {
        let start = start(code, from, segments).map(|(module, _)| module);
        let last = passed(code, from, segments).pop();
        return last.or(start).into_iter().collect();
    }
    let modules = places.into_iter().map(|place| match place {
        Place::Module(module) | Place::Item(module) => module,
    });
    modules.collect()
}

/// The modules that a path passes by name, before any import is followed; the last segment included.
pub(crate) fn passed(code: &Code, from: usize, segments: &[String]) -> Vec<usize> {
    let Some((start, rest)) = start(code, from, segments) else {
        return Vec::new();
    };
    let mut passed = Vec::new();
    let mut module = start;
    for segment in rest {
        let Some(child) = code.modules[module].children.get(segment) else {
            break;
        };
        module = *child;
        passed.push(module);
    }
    passed
}

/// Where a path starts that says so itself (`crate`, `self`, `super`), and what follows.
fn start<'a>(code: &Code, from: usize, segments: &'a [String]) -> Option<(usize, &'a [String])> {
    let mut module = match segments.first()?.as_str() {
        "crate" => root(code, from),
        "self" => from,
        "super" => code.modules[from].parent?,
        _ => return None,
    };
    let mut rest = &segments[1..];
    while let Some(("super", after)) = rest
        .split_first()
        .map(|(first, after)| (first.as_str(), after))
    {
        module = code.modules[module].parent?;
        rest = after;
    }
    Some((module, rest))
}

fn root(code: &Code, mut module: usize) -> usize {
    while let Some(parent) = code.modules[module].parent {
        module = parent;
    }
    module
}

fn follow(code: &Code, from: usize, segments: &[String], pending: &mut Pending) -> Vec<Place> {
    let (mut places, rest) = match start(code, from, segments) {
        Some((module, rest)) => (vec![Place::Module(module)], rest),
        None => {
            let Some((first, rest)) = segments.split_first() else {
                return Vec::new();
            };
            (look_up(code, from, first, pending), rest)
        }
    };
    for segment in rest {
        let next = places.into_iter().flat_map(|place| match place {
            // A variant or something associated: part of the item.
            Place::Item(_) => vec![place],
            Place::Module(_) if segment == "self" => vec![place],
            Place::Module(module) => {
                let found = look_up(code, module, segment, pending);
                let leads_out = || {
                    code.modules[module]
                        .imports
                        .iter()
                        .any(|i| i.name.as_ref() == Some(segment))
                };
                // What no source line defines, a macro does, in this module.
                if found.is_empty() && !leads_out() {
                    vec![Place::Item(module)]
                } else {
                    found
                }
            }
        });
        places = next.collect();
    }
    places
}

/// What `name` means in a module: its child, its own item, or what it imports under that name.
fn look_up(code: &Code, module: usize, name: &str, pending: &mut Pending) -> Vec<Place> {
    let key = (module, name.to_owned());
    if !pending.insert(key.clone()) {
        return Vec::new();
    }
    let known = &code.modules[module];
    let mut places = Vec::new();
    places.extend(known.children.get(name).map(|child| Place::Module(*child)));
    if known.items.contains(name) {
        places.push(Place::Item(module));
    }
    for import in known
        .imports
        .iter()
        .filter(|import| import.name.as_deref() == Some(name))
    {
        places.extend(follow(code, module, &import.path, pending));
    }
    if places.is_empty() {
        for import in known.imports.iter().filter(|import| import.name.is_none()) {
            for place in follow(code, module, &import.path, pending) {
                if let Place::Module(other) = place {
                    places.extend(look_up(code, other, name, pending));
                }
            }
        }
    }
    pending.remove(&key);
    places
}
