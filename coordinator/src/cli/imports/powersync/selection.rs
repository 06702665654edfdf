//! What a sync config asks of clients: claims and parameters with the columns that they select by, and streams.

use super::{
    query::{Ask, Asked, asked},
    tables::Column,
    yaml::{Kind, Node},
};

/// What a sync config asks of clients.
#[derive(Debug, Default)]
pub(super) struct Selection {
    /// In the order in which they appear.
    pub(super) asks: Vec<Selects>,
    /// The streams that no client is subscribed to by itself.
    pub(super) streams: Vec<Stream>,
}

/// Something that is asked, and the columns that it is compared with.
#[derive(Debug)]
pub(super) struct Selects {
    pub(super) ask: Ask,
    pub(super) columns: Vec<Column>,
}

/// A stream that has to be subscribed to, with what its subscriptions have to give.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) name: String,
    pub(super) parameters: Vec<Selects>,
}

/// What a sync config begins with.
const PARTS: [&str; 2] = ["bucket_definitions", "streams"];

impl Selection {
    pub(super) fn is_in(node: &Node) -> bool {
        PARTS.iter().any(|name| node.field(name).is_some())
    }

    /// The line and the name of a part that is no table.
    pub(super) fn misshapen(node: &Node) -> Option<(usize, &'static str)> {
        let parts = PARTS
            .iter()
            .filter_map(|&name| Some((node.field(name)?, name)));
        let mut wrong = parts.filter(|(part, _)| match &part.kind {
            Kind::Fields(_) => false,
            // Nothing at all is a sync config that is yet to be written.
            Kind::Scalar { text, .. } => !["", "~", "null"].contains(&text.as_str()),
            Kind::List(_) => true,
        });
        wrong.next().map(|(part, name)| (part.line, name))
    }

    pub(super) fn of(node: &Node) -> Self {
        let mut selection = Self::default();
        for (_, bucket) in node
            .field("bucket_definitions")
            .map_or(&[][..], Node::fields)
        {
            selection.add_bucket(bucket);
        }
        let shared = queries(node.field("with"));
        for (name, stream) in node.field("streams").map_or(&[][..], Node::fields) {
            selection.add_stream(name, stream, &shared);
        }
        selection
    }

    fn add_bucket(&mut self, bucket: &Node) {
        let mut named = Vec::new();
        for parameters in queries(bucket.field("parameters")) {
            named.extend(parameters.named.clone());
            self.add(&parameters);
        }
        // `COLUMN = bucket.NAME` compares with what a parameter query put under that name.
        for data in queries(bucket.field("data")) {
            for (ask, column) in &data.compared {
                let Ask::Bucket(name) = ask else { continue };
                for (_, origin) in named.iter().filter(|(known, _)| known == name) {
                    add(&mut self.asks, origin, Some(column));
                }
            }
        }
    }

    fn add_stream(&mut self, name: &str, stream: &Node, shared: &[Asked]) {
        let own = ["with", "query", "queries"].map(|field| queries(stream.field(field)));
        let own: Vec<Asked> = own.into_iter().flatten().collect();
        let mut parameters = Vec::new();
        for query in own.iter().chain(shared) {
            self.add(query);
            for (ask, column) in pairs(query) {
                if matches!(ask, Ask::Subscription(_)) {
                    add(&mut parameters, ask, column);
                }
            }
        }
        if !stream.field("auto_subscribe").is_some_and(Node::is_true) {
            self.streams.push(Stream {
                name: name.to_owned(),
                parameters,
            });
        }
    }

    fn add(&mut self, query: &Asked) {
        for (ask, column) in pairs(query) {
            if !matches!(ask, Ask::Bucket(_)) {
                add(&mut self.asks, ask, column);
            }
        }
    }
}

/// Everything that a query asks, with each column that it is compared with.
fn pairs(query: &Asked) -> impl Iterator<Item = (&Ask, Option<&Column>)> {
    let asks = query.asks.iter().map(|ask| (ask, None));
    asks.chain(
        query
            .compared
            .iter()
            .map(|(ask, column)| (ask, Some(column))),
    )
}

fn add(known: &mut Vec<Selects>, ask: &Ask, column: Option<&Column>) {
    let at = known.iter().position(|selects| selects.ask == *ask);
    let at = at.unwrap_or_else(|| {
        known.push(Selects {
            ask: ask.clone(),
            columns: Vec::new(),
        });
        known.len() - 1
    });
    let columns = &mut known[at].columns;
    columns.extend(column.filter(|column| !columns.contains(column)).cloned());
}

/// What the queries of a field ask: one text, a list of texts, or texts with names.
fn queries(node: Option<&Node>) -> Vec<Asked> {
    let Some(node) = node else {
        return Vec::new();
    };
    let named = node.fields().iter().map(|(_, node)| node);
    let listed = node.items().iter();
    let texts = named.chain(listed).filter_map(Node::text);
    texts.map(asked).collect()
}
