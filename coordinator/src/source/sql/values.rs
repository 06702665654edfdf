//! Converts a row of each database to columns with JSON values: each as PowerSync replicates it, so that a claim equals what
//! the sync config compares it with, or an error that says what to write instead.
//!
//! What PowerSync makes of each type: <https://docs.powersync.com/sync/types>.

use serde_json::{Number, Value};
use sqlx::{
    Column, Decode, MySql, Row, Type, TypeInfo, ValueRef,
    mysql::{MySqlRow, MySqlTypeInfo},
    sqlite::SqliteRow,
    types::chrono::{DateTime, NaiveDate, NaiveDateTime, Utc},
};

use crate::source::{
    cast::{Origin, in_query},
    error::RecordProblem,
    record::Columns,
};

/// A row of Postgres as JSON; the type of the store's id, and the id as a text.
pub(super) type PostgresRow = (String, Option<String>, Option<String>);

/// Postgres wrote the JSON. Only of the id's column the type is known: what a JSON text or number was before.
pub(super) fn postgres_columns(
    (json, id_type, id): PostgresRow,
    store_id: &str,
) -> Result<Columns, RecordProblem> {
    let mut columns: Columns =
        serde_json::from_str(&json).map_err(|e| RecordProblem::Malformed(e.to_string()))?;
    let id_type = id_type.unwrap_or_default();
    match (id_type.as_str(), id) {
        // Replicated as a text, with every digit.
        ("numeric", Some(id)) => columns.replace(store_id, id.into()),
        ("bytea", Some(_)) => {
            let advice = Origin::Postgres.as_hex(store_id);
            return Err(bad_id(store_id, &id_type, advice));
        }
        // Written in another way there, or in one of several.
        (
            "json" | "jsonb" | "timestamp without time zone" | "timestamp with time zone",
            Some(_),
        ) => {
            let advice = Origin::Postgres.as_text(store_id);
            return Err(bad_id(store_id, &id_type, advice));
        }
        _ => {}
    }
    Ok(columns)
}

/// SQLite types values, not columns.
pub(super) fn sqlite_columns(row: &SqliteRow) -> Result<Columns, RecordProblem> {
    let mut columns = Columns::default();
    for (index, column) in row.columns().iter().enumerate() {
        let value = row.try_get_raw(index).map_err(undecodable)?;
        let type_name = value.type_info().name().to_owned();
        let json = if value.is_null() {
            Value::Null
        } else {
            match type_name.as_str() {
                "TEXT" => get::<String, _>(row, index)?.into(),
                "INTEGER" | "INT4" | "INT8" | "BOOLEAN" => get::<i64, _>(row, index)?.into(),
                "REAL" => fraction(get(row, index)?),
                _ => {
                    let advice = Origin::Sqlite.as_hex(column.name());
                    return Err(bad_claim(column.name(), &type_name, advice));
                }
            }
        };
        columns.add(column.name(), json)?;
    }
    Ok(columns)
}

pub(super) fn mysql_columns(row: &MySqlRow, store_id: &str) -> Result<Columns, RecordProblem> {
    let mut columns = Columns::default();
    for (index, column) in row.columns().iter().enumerate() {
        let name = column.name();
        let null = row.try_get_raw(index).map_err(undecodable)?.is_null();
        let json = match (null, name == store_id) {
            (true, _) => Value::Null,
            (false, true) => mysql_id(row, index, name, column.type_info())?,
            (false, false) => mysql_value(row, index, name, column.type_info())?,
        };
        columns.add(name, json)?;
    }
    Ok(columns)
}

/// The store's id, where PowerSync has another form of it than of a claim that only informs.
fn mysql_id(
    row: &MySqlRow,
    index: usize,
    name: &str,
    column: &MySqlTypeInfo,
) -> Result<Value, RecordProblem> {
    match column.name() {
        "BOOLEAN" => Ok(get::<i64, _>(row, index)?.into()),
        // Replicated as a text, with every digit.
        "DECIMAL" => Ok(get::<String, _>(row, index)?.into()),
        other @ ("JSON" | "SET" | "YEAR" | "DATETIME" | "TIMESTAMP") if !is_text(column) => {
            Err(bad_id(name, other, Origin::MySql.as_text(name)))
        }
        _ => mysql_value(row, index, name, column),
    }
}

fn mysql_value(
    row: &MySqlRow,
    index: usize,
    name: &str,
    column: &MySqlTypeInfo,
) -> Result<Value, RecordProblem> {
    if is_text(column) {
        return Ok(get::<String, _>(row, index)?.into());
    }
    Ok(match column.name() {
        // TINYINT(1), which holds more than two numbers.
        "BOOLEAN" => match get::<i64, _>(row, index)? {
            0 => false.into(),
            1 => true.into(),
            number => number.into(),
        },
        "TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "BIGINT" => {
            get::<i64, _>(row, index)?.into()
        }
        "TINYINT UNSIGNED" | "SMALLINT UNSIGNED" | "MEDIUMINT UNSIGNED" | "INT UNSIGNED"
        | "BIGINT UNSIGNED" | "YEAR" => get::<u64, _>(row, index)?.into(),
        "FLOAT" => fraction(get::<f32, _>(row, index)?.into()),
        "DOUBLE" => fraction(get(row, index)?),
        "DECIMAL" => decimal(get(row, index)?),
        "ENUM" | "SET" => get::<String, _>(row, index)?.into(),
        "JSON" => get(row, index)?,
        // As ISO 8601, like Postgres in JSON.
        "DATE" => get::<NaiveDate, _>(row, index)?.to_string().into(),
        "DATETIME" => {
            let time: NaiveDateTime = get(row, index)?;
            time.format("%Y-%m-%dT%H:%M:%S%.f").to_string().into()
        }
        "TIMESTAMP" => get::<DateTime<Utc>, _>(row, index)?.to_rfc3339().into(),
        other => return Err(bad_claim(name, other, mysql_advice(name, other))),
    })
}

/// Texts of a `_bin` collation have the name of a binary type; only the collation `binary` is one.
fn is_text(column: &MySqlTypeInfo) -> bool {
    <str as Type<MySql>>::compatible(column)
}

/// What to write instead of a column of a type that no claim can have.
fn mysql_advice(column: &str, type_name: &str) -> String {
    match type_name {
        "BINARY" => format!(
            "{}; or, if the sync config has a UUID as a text, write BIN_TO_UUID({column}) AS {column}",
            Origin::MySql.as_hex(column)
        ),
        "VARBINARY" | "TINYBLOB" | "BLOB" | "MEDIUMBLOB" | "LONGBLOB" => {
            Origin::MySql.as_hex(column)
        }
        "BIT" => format!(
            "PowerSync has it as a blob, which equals no claim: {}, and compare it with an integer in the sync config",
            in_query(&format!("{column} + 0"), column)
        ),
        "GEOMETRY" => in_query(&format!("ST_AsText({column})"), column),
        _ => Origin::MySql.as_text(column),
    }
}

/// The value of a column whose type has been looked at.
fn get<'r, T, R>(row: &'r R, index: usize) -> Result<T, RecordProblem>
where
    R: Row,
    usize: sqlx::ColumnIndex<R>,
    T: Decode<'r, R::Database> + Type<R::Database>,
{
    row.try_get_unchecked(index).map_err(undecodable)
}

fn undecodable(error: sqlx::Error) -> RecordProblem {
    RecordProblem::Malformed(error.to_string())
}

/// JSON has no infinity and no NaN.
fn fraction(number: f64) -> Value {
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// A number, as Postgres writes `numeric` in JSON.
fn decimal(number: String) -> Value {
    serde_json::from_str(&number).unwrap_or_else(|_| number.into())
}

fn bad_claim(column: &str, type_name: &str, advice: String) -> RecordProblem {
    bad_type(column, type_name, "a claim", advice)
}

fn bad_id(column: &str, type_name: &str, advice: String) -> RecordProblem {
    bad_type(column, type_name, "the store's id", advice)
}

fn bad_type(column: &str, type_name: &str, role: &'static str, advice: String) -> RecordProblem {
    RecordProblem::ColumnType {
        column: column.to_owned(),
        type_name: type_name.to_owned(),
        role,
        advice,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_decimal_is_a_number_in_json() {
        assert_eq!(decimal("1.50".to_owned()), json!(1.5));
        assert_eq!(decimal("-7".to_owned()), json!(-7));
    }

    #[test]
    fn two_columns_of_one_name_are_refused() {
        let json = r#"{"id":1,"region":"eu","region":"us"}"#.to_owned();
        let error = postgres_columns((json, None, None), "id").unwrap_err();
        assert!(error.to_string().contains("\"region\" twice"), "{error}");
    }
}
