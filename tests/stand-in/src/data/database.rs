//! The source tables and the buckets made from them.

use crate::data::bucket::{Action, Bucket};
use crate::data::config::{StreamDefinition, SyncConfig};
use crate::data::products::Products;
use crate::data::row::{PRODUCTS, Row, RowRef};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// A bucket's place in [`Database::buckets`].
type BucketIndex = u32;

/// Everything the service has replicated.
#[derive(Debug)]
pub(crate) struct Database {
    config: SyncConfig,
    /// The number in front of every bucket's name: how often a sync config has been deployed.
    deployment: u64,
    last_op: u64,
    tables: BTreeMap<String, BTreeMap<String, StoredRow>>,
    generated: Vec<GeneratedSet>,
    buckets: Vec<Bucket>,
    names: HashMap<String, BucketIndex>,
}

#[derive(Debug)]
struct StoredRow {
    row: Arc<Row>,
    buckets: Vec<BucketIndex>,
}

/// Generated rows, but for those that a test has since replaced or removed.
#[derive(Debug)]
struct GeneratedSet {
    products: Arc<Products>,
    replaced: HashSet<u32>,
    /// The buckets that every row is in.
    shared: Vec<BucketIndex>,
    /// The buckets that only some rows are in, by row.
    own: HashMap<u32, Vec<BucketIndex>>,
}

impl Database {
    /// An empty database under the first deployment of `config`.
    pub(crate) fn new(config: SyncConfig, deployment: u64) -> Self {
        Self {
            config,
            deployment,
            last_op: 0,
            tables: BTreeMap::new(),
            generated: Vec::new(),
            buckets: Vec::new(),
            names: HashMap::new(),
        }
    }

    pub(crate) fn config(&self) -> &SyncConfig {
        &self.config
    }

    pub(crate) fn deployment(&self) -> u64 {
        self.deployment
    }

    pub(crate) fn last_op(&self) -> u64 {
        self.last_op
    }

    /// Makes `op_id` the id of the next operation. Ids never go backwards.
    pub(crate) fn set_next_op_id(&mut self, op_id: u64) {
        assert!(
            op_id > self.last_op,
            "operation ids only grow: {op_id} after {}",
            self.last_op
        );
        self.last_op = op_id - 1;
    }

    /// The bucket with this name, if any row was ever in it.
    pub(crate) fn bucket(&self, name: &str) -> Option<&Bucket> {
        self.names
            .get(name)
            .map(|index| &self.buckets[*index as usize])
    }

    /// Inserts or replaces a row. It enters the buckets it belongs to, then leaves those it no longer does (the order
    /// of the recorded operation ids).
    pub(crate) fn put(&mut self, table: &str, json: String) {
        let columns: Map<String, Value> =
            serde_json::from_str(&json).expect("a row is a JSON object");
        let id = columns
            .get("id")
            .and_then(Value::as_str)
            .expect("a row has a text id")
            .to_owned();
        let row = Arc::new(Row {
            table: table.into(),
            id: id.clone(),
            json,
        });
        let reference = RowRef::Stored(Arc::clone(&row));
        let buckets = self.buckets_of(table, &columns);
        let left = self.take(table, &id);
        for bucket in &buckets {
            self.append(
                *bucket,
                reference.put_checksum(),
                Action::Put(reference.clone()),
            );
        }
        for bucket in left.iter().flat_map(|(_, buckets)| buckets) {
            if !buckets.contains(bucket) {
                let remove = Action::Remove(reference.clone());
                self.append(*bucket, reference.remove_checksum(), remove);
            }
        }
        self.tables
            .entry(table.to_owned())
            .or_default()
            .insert(id, StoredRow { row, buckets });
    }

    /// Removes a row; false if there is none.
    pub(crate) fn remove(&mut self, table: &str, id: &str) -> bool {
        let Some((row, buckets)) = self.take(table, id) else {
            return false;
        };
        for bucket in buckets {
            self.append(bucket, row.remove_checksum(), Action::Remove(row.clone()));
        }
        true
    }

    /// Inserts a set of generated products.
    pub(crate) fn generate(&mut self, products: Products) {
        let set = GeneratedSet {
            products: Arc::new(products),
            replaced: HashSet::new(),
            shared: Vec::new(),
            own: HashMap::new(),
        };
        self.generated.push(set);
        self.lay_out_generated(self.generated.len() - 1);
    }

    /// Deploys a sync config: all buckets are rebuilt from the rows, under new names, with new operation ids.
    pub(crate) fn deploy(&mut self, config: SyncConfig) {
        self.config = config;
        self.deployment += 1;
        self.buckets.clear();
        self.names.clear();
        for set in 0..self.generated.len() {
            self.lay_out_generated(set);
        }
        let tables = std::mem::take(&mut self.tables);
        for (table, rows) in tables {
            for (_, stored) in rows {
                self.put(&table, stored.row.json.clone());
            }
        }
    }

    /// Compacts every bucket's history.
    pub(crate) fn compact(&mut self) {
        self.buckets.iter_mut().for_each(Bucket::compact);
    }

    /// The current rows of the buckets with these names, each once, in no particular order.
    pub(crate) fn rows_of_buckets(&self, names: impl IntoIterator<Item = String>) -> Vec<RowRef> {
        let wanted: HashSet<_> = names
            .into_iter()
            .filter_map(|name| self.names.get(&name).copied())
            .collect();
        let in_any = |buckets: &[BucketIndex]| buckets.iter().any(|bucket| wanted.contains(bucket));
        let stored = self.tables.values().flat_map(BTreeMap::values);
        let mut rows: Vec<_> = stored
            .filter(|stored| in_any(&stored.buckets))
            .map(|stored| RowRef::Stored(Arc::clone(&stored.row)))
            .collect();
        for set in &self.generated {
            let all = in_any(&set.shared);
            let here =
                |index: &u32| all || set.own.get(index).is_some_and(|buckets| in_any(buckets));
            let indexes = (0..set.products.count())
                .filter(|index| !set.replaced.contains(index))
                .filter(here);
            rows.extend(indexes.map(|index| RowRef::Generated {
                set: Arc::clone(&set.products),
                index,
            }));
        }
        rows
    }

    /// The rows of a table whose columns have these values, by ascending id.
    pub(crate) fn matching(
        &self,
        table: &str,
        columns: &[(&str, Value)],
    ) -> Vec<Map<String, Value>> {
        let Some(rows) = self.tables.get(table) else {
            return Vec::new();
        };
        let matches = |stored: &StoredRow| {
            let row: Map<String, Value> = serde_json::from_str(&stored.row.json).ok()?;
            columns
                .iter()
                .all(|(column, value)| row.get(*column) == Some(value))
                .then_some(row)
        };
        // Looking a row up by its id is what every connection of the usual config does: no scan for it.
        match columns.iter().find(|(column, _)| *column == "id") {
            Some((_, id)) => id
                .as_str()
                .and_then(|id| rows.get(id))
                .and_then(matches)
                .into_iter()
                .collect(),
            None => rows.values().filter_map(matches).collect(),
        }
    }

    /// Takes a row out of its table, with the buckets it was in.
    fn take(&mut self, table: &str, id: &str) -> Option<(RowRef, Vec<BucketIndex>)> {
        if let Some(stored) = self.tables.get_mut(table).and_then(|rows| rows.remove(id)) {
            return Some((RowRef::Stored(stored.row), stored.buckets));
        }
        if table != PRODUCTS {
            return None;
        }
        self.generated.iter_mut().find_map(|set| {
            let index = set
                .products
                .index_of(id)
                .filter(|index| set.replaced.insert(*index))?;
            let mut buckets = set.shared.clone();
            buckets.extend(set.own.remove(&index).unwrap_or_default());
            Some((
                RowRef::Generated {
                    set: Arc::clone(&set.products),
                    index,
                },
                buckets,
            ))
        })
    }

    /// Puts the rows of a generated set into buckets.
    fn lay_out_generated(&mut self, position: usize) {
        let products = Arc::clone(&self.generated[position].products);
        if products.count() == 0 {
            return;
        }
        let columns = |index| {
            let mut json = String::new();
            products.write_json(index, &mut json);
            serde_json::from_str::<Map<String, Value>>(&json)
                .expect("generated rows are JSON objects")
        };
        // Streams that look at the store alone treat all rows alike; only the others need to see each row.
        let (same, varying): (Vec<_>, Vec<_>) =
            self.streams_of(PRODUCTS).into_iter().partition(|stream| {
                stream.filter.is_none()
                    && stream
                        .parameters
                        .iter()
                        .all(|parameter| parameter.column == "store_id")
            });
        let shared = self.buckets_for(&same, &columns(0));
        let mut own = HashMap::new();
        for index in 0..products.count() {
            if self.generated[position].replaced.contains(&index) {
                continue;
            }
            let mut buckets = shared.clone();
            if !varying.is_empty() {
                let mine = self.buckets_for(&varying, &columns(index));
                buckets.extend_from_slice(&mine);
                own.insert(index, mine);
            }
            let row = RowRef::Generated {
                set: Arc::clone(&products),
                index,
            };
            for bucket in buckets {
                self.append(bucket, row.put_checksum(), Action::Put(row.clone()));
            }
        }
        self.generated[position].shared = shared;
        self.generated[position].own = own;
    }

    fn streams_of(&self, table: &str) -> Vec<StreamDefinition> {
        self.config
            .streams
            .iter()
            .filter(|stream| stream.table == table)
            .cloned()
            .collect()
    }

    fn buckets_of(&mut self, table: &str, row: &Map<String, Value>) -> Vec<BucketIndex> {
        let streams = self.streams_of(table);
        self.buckets_for(&streams, row)
    }

    /// The buckets of these streams that a row belongs to, made if they do not exist yet.
    fn buckets_for(
        &mut self,
        streams: &[StreamDefinition],
        row: &Map<String, Value>,
    ) -> Vec<BucketIndex> {
        let mut buckets = Vec::new();
        for stream in streams {
            let Some(parameters) = stream.parameters_of_row(row) else {
                continue;
            };
            let name = self
                .config
                .bucket_name(self.deployment, stream, &parameters);
            let next = self.buckets.len() as BucketIndex;
            let index = *self.names.entry(name).or_insert(next);
            if index == next {
                self.buckets.push(Bucket::default());
            }
            buckets.push(index);
        }
        buckets
    }

    fn append(&mut self, bucket: BucketIndex, checksum: u32, action: Action) {
        self.last_op += 1;
        self.buckets[bucket as usize].push(self.last_op, checksum, action);
    }
}
