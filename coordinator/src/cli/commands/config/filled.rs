//! The commented default with values and comments filled in.

use crate::cli::imports::{Proposal, Proposed, Subscription, Value};

/// The width of a comment.
const WIDTH: usize = 118;

/// Returns `defaults` with what is proposed, each value in its place: instead of the default, else of the example.
pub(super) fn filled(defaults: &str, proposal: &Proposal) -> String {
    let mut lines: Vec<String> = defaults.lines().map(str::to_owned).collect();
    for setting in &proposal.settings {
        fill(&mut lines, setting);
    }
    let parameters = proposal.parameters.iter();
    let parameters = parameters.map(|(name, value)| format!("{} = {}", key(name), written(value)));
    insert_behind(&mut lines, "# region = ", parameters.collect());
    let streams = proposal.subscriptions.iter().flat_map(subscribed);
    insert_behind(&mut lines, "# priority = ", streams.collect());
    lines.join("\n") + "\n"
}

fn fill(lines: &mut Vec<String>, setting: &Proposed) {
    let Some(at) = line_of(lines, setting.section, setting.name) else {
        return;
    };
    if let Some(value) = &setting.value {
        lines[at] = format!("{} = {}", setting.name, written(value));
    }
    lines.splice(at..at, comment(&setting.note));
}

/// The last line of a section that gives the setting a value.
fn line_of(lines: &[String], section: &str, name: &str) -> Option<usize> {
    let start = lines
        .iter()
        .position(|line| *line == format!("[{section}]"))?;
    let inside = lines.iter().enumerate().skip(start + 1);
    let inside = inside.take_while(|(_, line)| !line.starts_with('['));
    let assignment = format!("{name} = ");
    inside
        .filter(|(_, line)| line.trim_start_matches("# ").starts_with(&assignment))
        .map(|(index, _)| index)
        .last()
}

/// Inserts lines behind the one that begins with `example`.
fn insert_behind(lines: &mut Vec<String>, example: &str, new: Vec<String>) {
    if let Some(at) = lines.iter().position(|line| line.starts_with(example)) {
        lines.splice(at + 1..at + 1, new);
    }
}

/// A stream as a table of its own; as a comment if not all of it is known.
fn subscribed(subscription: &Subscription) -> Vec<String> {
    let mut lines = match &subscription.unknown {
        Some(names) => comment(&format!(
            "Not known: what {names} of this stream is for a store. Say it, and remove the marks of the comment, if devices open \
             with these rows."
        )),
        None => comment(
            "From the sync config: nothing subscribes to this stream by itself. Remove it if devices open without these rows.",
        ),
    };
    let mut block = vec![
        "[[streams]]".to_owned(),
        format!("stream = {}", text(&subscription.stream)),
    ];
    if !subscription.parameters.is_empty() {
        let fields = Value::Fields(subscription.parameters.clone());
        block.push(format!("parameters = {}", written(&fields)));
    }
    let mark = if subscription.unknown.is_some() {
        "# "
    } else {
        ""
    };
    lines.extend(block.iter().map(|line| format!("{mark}{line}")));
    lines
}

/// A comment of as many lines as it needs.
fn comment(note: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in note.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("# {word}")),
        }
    }
    lines
}

fn written(value: &Value) -> String {
    match value {
        Value::Text(value) => text(value),
        Value::Fields(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| format!("{} = {}", key(name), text(value)));
            format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
        }
    }
}

/// A key, in quotes if it is not plain.
fn key(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match !name.is_empty() && name.chars().all(is_plain) {
        true => name.to_owned(),
        false => text(name),
    }
}

/// A text as TOML writes it, which escapes as JSON does.
fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use seedbed_protocol::settings::{DEFAULTS, Kind, known, merge};

    use super::*;

    #[test]
    fn every_text_can_be_filled_in_and_is_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("seedbed.toml");
        let texts = known().iter().filter(|known| {
            !known.is_list && matches!(known.kind, Kind::Text | Kind::Path | Kind::Place)
        });
        for setting in texts {
            let value = "a \"quoted\" \\ text\n".to_owned();
            let proposed = Proposed {
                section: setting.section,
                name: setting.name,
                value: Some(Value::Text(value.clone())),
                note: "where it\ncomes from ".repeat(30),
            };
            let proposal = Proposal {
                settings: vec![proposed],
                ..Proposal::default()
            };
            std::fs::write(&file, filled(DEFAULTS, &proposal)).unwrap();
            let read: serde_json::Value = merge(Some(&file), []).unwrap();
            let found = read[setting.section][setting.name].as_str();
            assert_eq!(found, Some(value.as_str()), "{}", setting.full_name());
        }
    }

    #[test]
    fn parameters_and_subscriptions_are_read_back_and_unknown_ones_are_comments() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("seedbed.toml");
        let fields = |name: &str| vec![(name.to_owned(), "{{store_id}}".to_owned())];
        let subscription = |stream: &str, unknown: Option<&str>| Subscription {
            stream: stream.to_owned(),
            parameters: fields("the store"),
            unknown: unknown.map(str::to_owned),
        };
        let proposal = Proposal {
            parameters: vec![("a.b".to_owned(), Value::Text("{{store_id}}".to_owned()))],
            subscriptions: vec![
                subscription("orders", None),
                subscription("hidden", Some("day")),
            ],
            ..Proposal::default()
        };
        std::fs::write(&file, filled(DEFAULTS, &proposal)).unwrap();
        let read: serde_json::Value = merge(Some(&file), []).unwrap();
        assert_eq!(read["parameters"]["a.b"], "{{store_id}}");
        let streams = read["streams"].as_array().unwrap();
        assert_eq!(streams.len(), 1, "{streams:?}");
        assert_eq!(streams[0]["parameters"]["the store"], "{{store_id}}");
    }
}
