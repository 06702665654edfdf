//! A JSON schema of the settings file, by which editors complete and check it.

use serde_json::{Map, Value, json};

use super::{
    kind::Kind,
    layout::{Section, Setting},
};

/// What `humantime` reads: numbers with units.
const DURATION: &str = "^ *([0-9]+ *[a-zA-Z]+ *)+$";

/// Returns the schema of a file with these sections.
pub(super) fn schema_of(sections: &[Section]) -> Value {
    let described = sections.iter().map(|section| {
        let Section { name, about, .. } = section;
        let schema = match (*name, section.is_list) {
            // The app names them.
            ("parameters", _) => json!({"type": "object", "description": about}),
            (_, true) => json!({"type": "array", "description": about, "items": table(section)}),
            (_, false) => {
                let mut schema = table(section);
                schema["description"] = about.as_str().into();
                schema
            }
        };
        ((*name).to_owned(), schema)
    });
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Settings of Seedbed",
        "type": "object",
        "additionalProperties": false,
        "properties": described.collect::<Map<_, _>>(),
    })
}

fn table(section: &Section) -> Value {
    let settings = section.settings.iter();
    let described = settings.map(|setting| (setting.name.to_owned(), value(section.name, setting)));
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": described.collect::<Map<_, _>>(),
    })
}

fn value(section: &str, setting: &Setting) -> Value {
    let kind = Kind::of(section, setting.name, setting.example.or(setting.default));
    let mut schema = match kind {
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Whole => json!({"type": "integer", "minimum": 0}),
        Kind::Number => json!({"type": "number", "minimum": 0}),
        Kind::OneOf(names) => json!({"type": "string", "enum": names}),
        Kind::Duration => json!({"type": "string", "pattern": DURATION}),
        Kind::List | Kind::Renditions => json!({"type": "array", "items": {"type": "string"}}),
        Kind::Table => json!({"type": "object"}),
        Kind::Text
        | Kind::Secret
        | Kind::Url
        | Kind::Place
        | Kind::Schedule
        | Kind::LogFilter
        | Kind::Address
        | Kind::Path
        | Kind::Json => json!({"type": "string"}),
    };
    schema["description"] = setting.about.as_str().into();
    if let Some(default) = setting.default.and_then(read) {
        schema["default"] = default;
    }
    if let Some(example) = setting.example.and_then(read) {
        schema["examples"] = json!([example]);
    }
    schema
}

/// A value in TOML as JSON.
fn read(value: &str) -> Option<Value> {
    let table: toml::Table = format!("x = {value}").parse().ok()?;
    serde_json::to_value(table.get("x")?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{defaults::DEFAULTS, known::layout::sections};

    #[test]
    fn each_default_is_what_the_schema_allows() {
        let schema = schema_of(&sections(DEFAULTS));
        for (section, described) in schema["properties"].as_object().unwrap() {
            assert!(described["description"].is_string(), "{section}");
            let Some(settings) = described["properties"].as_object() else {
                continue;
            };
            for (name, setting) in settings {
                assert!(setting["description"].is_string(), "{section}.{name}");
                let given = setting
                    .get("default")
                    .or_else(|| setting["examples"].get(0));
                let Some(given) = given else { continue };
                let is_right = match setting["type"].as_str().unwrap() {
                    "boolean" => given.is_boolean(),
                    "integer" => given.is_u64(),
                    "number" => given.is_number(),
                    "array" => given.is_array(),
                    "object" => given.is_object(),
                    _ => given.is_string(),
                };
                assert!(is_right, "{section}.{name}: {given}");
                if let Some(names) = setting["enum"].as_array() {
                    assert!(names.contains(given), "{section}.{name}: {given}");
                }
            }
        }
    }
}
