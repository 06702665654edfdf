//! A YAML document as a tree, with the line of each value. JSON is YAML too.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser};

/// More than any configuration has: aliases of aliases could make a tree of any size.
const MOST_NODES: usize = 100_000;
const DEEPEST: usize = 64;

/// A value of a document.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// A text, a number or a flag as it is written. `from_env` for PowerSync's `!env NAME`.
    Scalar {
        text: String,
        from_env: bool,
    },
    List(Vec<Node>),
    Fields(Vec<(String, Node)>),
}

impl Node {
    /// The field of that name.
    pub(super) fn field(&self, name: &str) -> Option<&Node> {
        self.fields()
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, node)| node)
    }

    /// The field at the end of a path of names.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, name| node.field(name))
    }

    pub(super) fn fields(&self) -> &[(String, Node)] {
        match &self.kind {
            Kind::Fields(fields) => fields,
            _ => &[],
        }
    }

    /// The values of a list; a single value is a list of one.
    pub(super) fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::List(items) => items,
            _ => std::slice::from_ref(self),
        }
    }

    /// What is written here, unless it is a variable's name.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar {
                text,
                from_env: false,
            } if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// The variable that the value comes from.
    pub(super) fn variable(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar {
                text,
                from_env: true,
            } => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_true(&self) -> bool {
        self.text() == Some("true")
    }

    fn size(&self) -> usize {
        1 + match &self.kind {
            Kind::Scalar { .. } => 0,
            Kind::List(items) => items.iter().map(Node::size).sum(),
            Kind::Fields(fields) => fields.iter().map(|(_, node)| node.size()).sum(),
        }
    }
}

/// A list or a mapping that has not ended.
struct Open {
    line: usize,
    anchor: usize,
    is_fields: bool,
    items: Vec<Node>,
}

impl Open {
    fn closed(self) -> Node {
        let Open {
            line,
            is_fields,
            items,
            ..
        } = self;
        if !is_fields {
            return Node {
                line,
                kind: Kind::List(items),
            };
        }
        let mut items = items.into_iter();
        let mut fields = Vec::new();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            if let Kind::Scalar { text, .. } = key.kind {
                fields.push((text, value));
            }
        }
        Node {
            line,
            kind: Kind::Fields(fields),
        }
    }
}

/// Reads the first document of `text`. An error has a line, counted from 1, and a reason.
pub(super) fn parse(text: &str) -> Result<Node, (usize, String)> {
    let mut parser = Parser::new_from_str(text);
    let mut open: Vec<Open> = Vec::new();
    let mut anchors: HashMap<usize, Node> = HashMap::new();
    let mut nodes = 0;
    let mut line = 1;
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| {
            (
                error.marker().line(),
                format!("this is no YAML: {}", error.info()),
            )
        })?;
        line = span.start.line();
        let (anchor, node) = match event {
            Event::Scalar(text, _, anchor, tag) => {
                let from_env = tag.is_some_and(|tag| tag.suffix == "env");
                let kind = Kind::Scalar {
                    text: text.into_owned(),
                    from_env,
                };
                (anchor, Node { line, kind })
            }
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _)
                if open.len() >= DEEPEST =>
            {
                return Err((line, format!("this is nested too deeply ({anchor})")));
            }
            Event::SequenceStart(anchor, _) => {
                open.push(Open {
                    line,
                    anchor,
                    is_fields: false,
                    items: Vec::new(),
                });
                continue;
            }
            Event::MappingStart(anchor, _) => {
                open.push(Open {
                    line,
                    anchor,
                    is_fields: true,
                    items: Vec::new(),
                });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(ended) => (ended.anchor, ended.closed()),
                None => continue,
            },
            Event::Alias(anchor) => match anchors.get(&anchor) {
                Some(node) => (0, node.clone()),
                None => return Err((line, "this refers to what comes later".to_owned())),
            },
            _ => continue,
        };
        nodes += node.size();
        if nodes > MOST_NODES {
            return Err((line, "this is too large for a configuration".to_owned()));
        }
        if anchor > 0 {
            anchors.insert(anchor, node.clone());
        }
        match open.last_mut() {
            Some(within) => within.items.push(node),
            None => return Ok(node),
        }
    }
    Err((line, "this file is empty".to_owned()))
}
