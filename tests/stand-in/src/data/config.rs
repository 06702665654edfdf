//! Which rows go into which buckets: a small declarative form of PowerSync's sync configs.

use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;

/// How the service names buckets (both recorded from powersync-service 1.25.0).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// `1#store_products["<id>"]`: edition 1, `bucket_definitions`.
    BucketDefinitions,
    /// `2#store_products|0["<id>"]`: edition 3, Sync Streams.
    Streams,
}

impl Naming {
    /// The number of the deployment that was recorded with this kind of config.
    pub(crate) fn recorded_deployment(self) -> u64 {
        match self {
            Self::BucketDefinitions => 1,
            Self::Streams => 2,
        }
    }
}

/// A sync config: the streams a service offers, in the order of the config file.
#[derive(Debug, Clone)]
pub struct SyncConfig {
    /// How buckets are named.
    pub naming: Naming,
    /// The streams, in the order in which checkpoints list them.
    pub streams: Vec<StreamDefinition>,
}

impl SyncConfig {
    /// The edition-1 config of the recordings: one bucket of `products` per row of `stores`, selected by the JWT
    /// claim `store_id`. A store id that is no row of `stores` selects no bucket.
    pub fn store_products() -> Self {
        let store = Source::lookup("stores", "id").matching("id", Source::claim("store_id"));
        let stream =
            StreamDefinition::new("store_products", "products").parameter("store_id", store);
        Self {
            naming: Naming::BucketDefinitions,
            streams: vec![stream],
        }
    }

    /// A Sync Streams config.
    pub fn streams(streams: impl IntoIterator<Item = StreamDefinition>) -> Self {
        Self {
            naming: Naming::Streams,
            streams: streams.into_iter().collect(),
        }
    }

    /// The name of one bucket of `stream`; `parameters` is a JSON array.
    pub(crate) fn bucket_name(
        &self,
        version: u64,
        stream: &StreamDefinition,
        parameters: &str,
    ) -> String {
        match self.naming {
            Naming::BucketDefinitions => format!("{version}#{}{parameters}", stream.name),
            Naming::Streams => format!("{version}#{}|0{parameters}", stream.name),
        }
    }
}

/// One stream: rows of one table, partitioned into buckets by the values of some columns.
#[derive(Debug, Clone)]
pub struct StreamDefinition {
    /// The stream's name, part of its buckets' names.
    pub name: String,
    /// 0 is downloaded first; the service's default is 3.
    pub priority: u8,
    /// Whether a client gets the stream without asking for it.
    pub auto_subscribe: bool,
    /// The table whose rows it holds.
    pub table: String,
    /// What a bucket is made of: one column each, in the order of the bucket's name.
    pub parameters: Vec<Parameter>,
    /// Which rows of the table take part; all of them without one.
    pub filter: Option<RowFilter>,
}

impl StreamDefinition {
    /// An auto-subscribed stream of a whole table, in one bucket, with priority 3.
    pub fn new(name: impl Into<String>, table: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            priority: 3,
            auto_subscribe: true,
            table: table.into(),
            parameters: Vec::new(),
            filter: None,
        }
    }

    /// Partitions the stream by a column; a request selects the buckets whose column has a value of `source`.
    pub fn parameter(mut self, column: impl Into<String>, source: Source) -> Self {
        self.parameters.push(Parameter {
            column: column.into(),
            source,
        });
        self
    }

    /// Sets the priority.
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// Makes the stream one that a client gets only if it subscribes.
    pub fn on_demand(mut self) -> Self {
        self.auto_subscribe = false;
        self
    }

    /// Keeps only the rows for which `keep` is true.
    pub fn filter(
        mut self,
        keep: impl Fn(&Map<String, Value>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.filter = Some(RowFilter(Arc::new(keep)));
        self
    }

    /// The parameters (a JSON array) of the bucket that `row` belongs to, if it belongs to any.
    pub(crate) fn parameters_of_row(&self, row: &Map<String, Value>) -> Option<String> {
        if self
            .filter
            .as_ref()
            .is_some_and(|RowFilter(keep)| !keep(row))
        {
            return None;
        }
        let mut values = Vec::with_capacity(self.parameters.len());
        for parameter in &self.parameters {
            values.push(
                row.get(&parameter.column)
                    .filter(|value| !value.is_null())?
                    .clone(),
            );
        }
        Some(Value::Array(values).to_string())
    }
}

/// One column that partitions a stream, and where a request gets the values it wants from.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// The column of the stream's rows.
    pub column: String,
    /// Where a request's values come from.
    pub source: Source,
}

/// Where the value of a bucket parameter comes from when a client connects.
#[derive(Debug, Clone)]
pub enum Source {
    /// A claim of the JWT, `auth.parameter('…')`.
    Claim(String),
    /// A parameter of the subscription, `subscription.parameter('…')`.
    Subscription(String),
    /// A column of the rows of another table that match: none, one or many values.
    Lookup {
        /// The table to look in.
        table: String,
        /// The column whose values are wanted.
        column: String,
        /// Columns that must equal the value of another source.
        matching: Vec<(String, Source)>,
    },
}

impl Source {
    /// A claim of the JWT.
    pub fn claim(name: impl Into<String>) -> Self {
        Self::Claim(name.into())
    }

    /// A parameter of the subscription.
    pub fn subscription(name: impl Into<String>) -> Self {
        Self::Subscription(name.into())
    }

    /// The values of a column of another table; narrow it down with [`Source::matching`].
    pub fn lookup(table: impl Into<String>, column: impl Into<String>) -> Self {
        Self::Lookup {
            table: table.into(),
            column: column.into(),
            matching: Vec::new(),
        }
    }

    /// Adds a condition to a lookup. Claims and subscription parameters have no rows to narrow down and stay as they are.
    pub fn matching(mut self, column: impl Into<String>, equals: Source) -> Self {
        if let Self::Lookup { matching, .. } = &mut self {
            matching.push((column.into(), equals));
        }
        self
    }
}

/// A condition on a row's columns.
#[derive(Clone)]
pub struct RowFilter(Arc<Condition>);

type Condition = dyn Fn(&Map<String, Value>) -> bool + Send + Sync;

impl fmt::Debug for RowFilter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RowFilter")
    }
}
