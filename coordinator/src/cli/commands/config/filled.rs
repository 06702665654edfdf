//! The commented default with values filled in.

/// Returns `defaults` with each of `values`, section, name and text, in its place: instead of the default, else of the
/// example.
pub(super) fn filled(defaults: &str, values: &[(&str, &str, String)]) -> String {
    let mut lines: Vec<String> = defaults.lines().map(str::to_owned).collect();
    for (section, name, value) in values {
        if let Some(line) = line_of(&lines, section, name) {
            lines[line] = format!("{name} = {}", toml_text(value));
        }
    }
    lines.join("\n") + "\n"
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

/// A text as TOML writes it, which escapes as JSON does.
fn toml_text(text: &str) -> String {
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
            let text = filled(DEFAULTS, &[(setting.section, setting.name, value.clone())]);
            std::fs::write(&file, text).unwrap();
            let read: serde_json::Value = merge(Some(&file), []).unwrap();
            let found = read[setting.section][setting.name].as_str();
            assert_eq!(found, Some(value.as_str()), "{}", setting.full_name());
        }
    }
}
