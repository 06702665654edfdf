//! What random histories are made of: schemas, rows, operations that no service sends, and lines as BSON.

use rand::{Rng, RngCore, seq::IndexedRandom};
use seedbed_worker::powersync::LineFormat;
use serde_json::{Value, json};

const TABLES: [&str; 4] = ["products", "orders", "odd \"table\"", "Products2"];

/// Two of them have the same key, with the right subkey.
const IDS: [&str; 10] = [
    "1",
    "2",
    "3",
    "a",
    "a/b",
    "b",
    "",
    "Ärger",
    "'",
    "ffffffff-0000",
];

pub(super) const FEW_IDS: u32 = 60;

pub(super) const MANY_IDS: u32 = 20_000;

const SUBKEYS: [&str; 3] = ["s", "b/null", "389d/aaaf"];

/// An operation, as far as its history decides.
pub(super) struct Drawn {
    pub(super) op_id: u64,
    pub(super) checksum: u32,
    pub(super) clear: bool,
    /// From how many ids its row has its own.
    pub(super) ids: u32,
    pub(super) format: LineFormat,
}

impl Drawn {
    /// Draws the rest of it.
    pub(super) fn operation(&self, random: &mut dyn RngCore) -> Value {
        let checksum = self.checksum;
        let written = match (self.format, random.random_range(0..3)) {
            (LineFormat::Bson, 0) | (LineFormat::Ndjson, 1) => json!(checksum.cast_signed()),
            (LineFormat::Ndjson, 0) => json!(f64::from(checksum)),
            _ => json!(checksum),
        };
        let mut operation = json!({ "op_id": self.op_id.to_string(), "checksum": written });
        let kind = match random.random_range(0..100) {
            _ if self.clear => "CLEAR",
            0..70 => "PUT",
            70..90 => "REMOVE",
            _ => "MOVE",
        };
        operation["op"] = json!(kind);
        if matches!(kind, "PUT" | "REMOVE") {
            let table = if random.random_bool(0.05) {
                "raw"
            } else {
                TABLES.choose(random).unwrap()
            };
            operation["object_type"] = json!(table);
            operation["object_id"] =
                json!(
                    if random.random_bool(if self.ids == FEW_IDS { 0.3 } else { 0.01 }) {
                        IDS.choose(random).unwrap().to_string()
                    } else {
                        random.random_range(0..self.ids).to_string()
                    }
                );
            if random.random_bool(0.3) {
                operation["subkey"] = json!(SUBKEYS.choose(random).unwrap());
            } else if random.random() {
                operation["subkey"] = Value::Null;
            }
            operation["data"] = if kind == "PUT" {
                json!(row(random))
            } else {
                Value::Null
            };
        }
        operation
    }
}

/// An app's schema that knows some of the tables.
pub(super) fn schema(random: &mut dyn RngCore) -> Value {
    let mut tables = Vec::new();
    for table in TABLES {
        if random.random_bool(0.75) {
            let indexes = if random.random_bool(0.5) {
                json!([{ "name": "by_name", "columns": [{ "name": "name", "ascending": random.random_bool(0.5), "type": "text" }] }])
            } else {
                json!([])
            };
            tables.push(json!({
                "name": table, "columns": [{ "name": "name", "type": "text" }, { "name": "n", "type": "integer" }],
                "indexes": indexes, "local_only": random.random_bool(0.1),
            }));
        }
    }
    let raw_tables = if random.random_bool(0.1) {
        json!([{ "name": "raw", "ddl": "CREATE TABLE raw_rows (id TEXT PRIMARY KEY, name TEXT)", "table_name": "raw_rows",
            "put": { "sql": "INSERT OR REPLACE INTO raw_rows (id, name) VALUES (?, ?)", "params": ["Id", { "Column": "name" }] },
            "delete": { "sql": "DELETE FROM raw_rows WHERE id = ?", "params": ["Id"] } }])
    } else {
        json!([])
    };
    json!({ "tables": tables, "raw_tables": raw_tables })
}

/// As a service writes it: numbers are int32 if they fit, else double.
pub(super) fn bson_document(line: &Value) -> Vec<u8> {
    fn convert(value: &Value) -> bson::Bson {
        match value {
            Value::Number(number) => match number.as_i64().map(i32::try_from) {
                Some(Ok(number)) => bson::Bson::Int32(number),
                _ => bson::Bson::Double(number.as_f64().unwrap()),
            },
            Value::Array(items) => bson::Bson::Array(items.iter().map(convert).collect()),
            Value::Object(fields) => bson::Bson::Document(
                fields
                    .iter()
                    .map(|(name, value)| (name.clone(), convert(value)))
                    .collect(),
            ),
            Value::String(text) => bson::Bson::String(text.clone()),
            Value::Bool(value) => bson::Bson::Boolean(*value),
            Value::Null => bson::Bson::Null,
        }
    }
    let bson::Bson::Document(document) = convert(line) else {
        panic!("a line is an object")
    };
    document.to_vec().unwrap()
}

/// A row's text, odd ones included.
pub(super) fn row(random: &mut dyn RngCore) -> String {
    let n = random.random_range(0..1000);
    match random.random_range(0..12) {
        0 => "{}".to_owned(),
        1 => format!(r#"{{"id":"x","name":null,"n":{n},"extra":[1,{{"a":2}}]}}"#),
        2 => format!(r#"{{"name":"quote \" slash \\ \u00e9 日","n":-{n}.5e3}}"#),
        3 => format!(r#"{{ "n" : {n} , "name" : true }}"#),
        4 => format!(r#"{{"Name":"other case","n":9223372036854775807,"N":"{n}"}}"#),
        5 => format!(r#"{{"name":"{}"}}"#, "long ".repeat(n)),
        _ => format!(r#"{{"id":"x","name":"row {n}","n":{n}}}"#),
    }
}

/// Something that no service sends.
pub(super) fn spoil(random: &mut dyn RngCore, operation: &mut Value) {
    match random.random_range(0..9) {
        0 => operation["op_id"] = json!("0"),
        1 => operation["op_id"] = json!("-5"),
        2 => operation["data"] = Value::Null,
        3 => operation["object_type"] = Value::Null,
        4 => drop(operation.as_object_mut().unwrap().remove("object_id")),
        5 => operation["op"] = json!("UPDATE"),
        6 => operation["data"] = json!("not JSON"),
        7 => operation["checksum"] = json!(0.5),
        _ => operation["object_id"] = json!("zero\u{0}byte"),
    }
}
