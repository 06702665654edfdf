//! Converts a row of each database to columns with JSON values.

use serde_json::{Number, Value};
use sqlx::{
    Column, Decode, Row, Type, TypeInfo, ValueRef,
    mysql::MySqlRow,
    sqlite::SqliteRow,
    types::{
        Decimal,
        chrono::{DateTime, NaiveDate, NaiveDateTime, Utc},
    },
};

use crate::source::{error::RecordProblem, record::Columns};

pub(super) fn json_columns(json: &str) -> Result<Columns, RecordProblem> {
    serde_json::from_str(json).map_err(|e| RecordProblem::Malformed(e.to_string()))
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
                _ => return Err(unsupported(column.name(), &type_name)),
            }
        };
        columns.add(column.name(), json)?;
    }
    Ok(columns)
}

pub(super) fn mysql_columns(row: &MySqlRow) -> Result<Columns, RecordProblem> {
    let mut columns = Columns::default();
    for (index, column) in row.columns().iter().enumerate() {
        let name = column.name();
        let null = row.try_get_raw(index).map_err(undecodable)?.is_null();
        let json = if null {
            Value::Null
        } else {
            mysql_value(row, index, name, column.type_info().name())?
        };
        columns.add(name, json)?;
    }
    Ok(columns)
}

fn mysql_value(
    row: &MySqlRow,
    index: usize,
    name: &str,
    type_name: &str,
) -> Result<Value, RecordProblem> {
    Ok(match type_name {
        "BOOLEAN" => get::<bool, _>(row, index)?.into(),
        "TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "BIGINT" => {
            get::<i64, _>(row, index)?.into()
        }
        "TINYINT UNSIGNED" | "SMALLINT UNSIGNED" | "MEDIUMINT UNSIGNED" | "INT UNSIGNED"
        | "BIGINT UNSIGNED" | "YEAR" => get::<u64, _>(row, index)?.into(),
        "FLOAT" => fraction(get::<f32, _>(row, index)?.into()),
        "DOUBLE" => fraction(get(row, index)?),
        "DECIMAL" => decimal(get(row, index)?),
        "CHAR" | "VARCHAR" | "TINYTEXT" | "TEXT" | "MEDIUMTEXT" | "LONGTEXT" | "ENUM" | "SET" => {
            get::<String, _>(row, index)?.into()
        }
        "JSON" => get(row, index)?,
        // As ISO 8601, like Postgres in JSON.
        "DATE" => get::<NaiveDate, _>(row, index)?.to_string().into(),
        "DATETIME" => {
            let time: NaiveDateTime = get(row, index)?;
            time.format("%Y-%m-%dT%H:%M:%S%.f").to_string().into()
        }
        "TIMESTAMP" => get::<DateTime<Utc>, _>(row, index)?.to_rfc3339().into(),
        _ => return Err(unsupported(name, type_name)),
    })
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
fn decimal(number: Decimal) -> Value {
    serde_json::from_str(&number.to_string()).unwrap_or_else(|_| number.to_string().into())
}

fn unsupported(column: &str, type_name: &str) -> RecordProblem {
    RecordProblem::ColumnType {
        column: column.to_owned(),
        type_name: type_name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_decimal_is_a_number_in_json() {
        assert_eq!(decimal("1.50".parse().unwrap()), json!(1.5));
    }
}
