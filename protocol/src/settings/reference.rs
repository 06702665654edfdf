//! The settings reference: the commented default as a Markdown page, for `deploy/SETTINGS.md`.

use std::fmt::Write as _;

use super::{
    defaults::DEFAULTS,
    sources::{RETIRED, variable_name},
};

const HEAD: &str = "\
# Settings

`seedbed.toml` in the working directory, or the file that `--config` or `SEEDBED_CONFIG` names. An environment \
variable overrides the file: `SEEDBED_`, the section, two underscores, the setting. An unknown or misspelt setting is \
an error. \
Secrets belong in the environment, and are never printed.

Times are texts such as `90s`, `5m` or `1h 30m`. Relative paths start at the working directory. `seedbed config` \
prints the commented default, `seedbed config --json` what is in effect and where it came from, `seedbed check` tries it.

This page is generated from [the commented default](../protocol/seedbed.toml); a test compares the two.
";

/// What a cell without content shows.
const NONE: &str = "–";

struct Section {
    name: &'static str,
    /// Whether it is a list of tables, which no variable can set.
    is_list: bool,
    about: String,
    settings: Vec<Setting>,
}

struct Setting {
    name: &'static str,
    default: Option<&'static str>,
    example: Option<&'static str>,
    about: String,
}

/// Returns a page with a table for each section: every setting with its default, its variable and its meaning.
pub fn reference() -> String {
    let mut page = HEAD.to_owned();
    for section in sections(DEFAULTS) {
        section.write(&mut page);
    }
    write_retired(&mut page);
    page
}

/// Lists the retired settings.
fn write_retired(page: &mut String) {
    page.push_str(
        "\n## Retired settings\n\nRead for one version, with a warning in the log that names the successor.\n\n\
         | setting | successor | since |\n|---|---|---|\n",
    );
    for retired in &RETIRED {
        let (section, since) = (retired.section, retired.since);
        let (name, successor) = (retired.name, retired.successor);
        let (old, new) = match retired.values {
            Some((old, new)) => (format!(": {old}"), format!(": {new}")),
            None => Default::default(),
        };
        // Writing to a text cannot fail.
        let _ = writeln!(
            page,
            "| `{section}.{name}`{old} | `{section}.{successor}`{new} | {since} |"
        );
    }
}

/// Reads the layout that `seedbed.toml` keeps to: a comment, then the section or the setting that it is about. A
/// setting without a default is a comment itself, and its value an example.
fn sections(text: &'static str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut about = String::new();
    for line in text.lines() {
        let uncommented = line.strip_prefix("# ");
        let code = uncommented.unwrap_or(line);
        if line.is_empty() {
            about.clear();
        } else if let Some((name, is_list)) = section_name(code) {
            sections.push(Section {
                name,
                is_list,
                about: std::mem::take(&mut about),
                settings: Vec::new(),
            });
        } else if let Some((name, value)) = assignment(code)
            && let Some(section) = sections.last_mut()
        {
            section.add(name, value, uncommented.is_some(), &mut about);
        } else {
            let separator = if about.is_empty() { "" } else { " " };
            about.push_str(separator);
            about.push_str(code);
        }
    }
    sections
}

/// Returns the name in `[name]` or `[[name]]`, and whether it is the second.
fn section_name(code: &'static str) -> Option<(&'static str, bool)> {
    let name = code.strip_prefix('[')?.strip_suffix(']')?;
    match name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
    {
        Some(name) => Some((name, true)),
        None => Some((name, false)),
    }
}

/// Splits `name = value`.
fn assignment(code: &'static str) -> Option<(&'static str, &'static str)> {
    let (name, value) = code.split_once(" = ")?;
    let is_name = name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    is_name.then_some((name, value))
}

impl Section {
    fn add(
        &mut self,
        name: &'static str,
        value: &'static str,
        is_example: bool,
        about: &mut String,
    ) {
        // An example may stand above the default.
        if let Some(last) = self.settings.last_mut()
            && last.name == name
        {
            last.default = Some(value);
            return;
        }
        let (default, example) = match is_example {
            true => (None, Some(value)),
            false => (Some(value), None),
        };
        self.settings.push(Setting {
            name,
            default,
            example,
            about: std::mem::take(about),
        });
    }

    fn write(&self, page: &mut String) {
        let title = if self.is_list {
            format!("[[{}]]", self.name)
        } else {
            format!("[{}]", self.name)
        };
        let _ = write!(
            page,
            "\n## {title}\n\n{}\n\n| setting | default | variable | meaning |\n|---|---|---|---|\n",
            self.about
        );
        for setting in &self.settings {
            let variable = match self.is_list {
                true => NONE.to_owned(),
                false => format!("`{}`", variable_name(self.name, setting.name)),
            };
            let (default, meaning) = setting.describe();
            let _ = writeln!(
                page,
                "| `{}` | {default} | {variable} | {meaning} |",
                setting.name
            );
        }
    }
}

impl Setting {
    /// Returns the cells with its default and its meaning.
    fn describe(&self) -> (String, String) {
        const DEFAULT: &str = "Default: ";
        let (mut default, mut meaning) = (NONE.to_owned(), self.about.clone());
        if let Some((before, after)) = self.about.split_once(DEFAULT) {
            // Dots within names of settings do not end a sentence.
            let (value, rest) = after.split_once(". ").unwrap_or((after, ""));
            value.trim_end_matches('.').clone_into(&mut default);
            meaning = format!("{before}{rest}").trim_end().to_owned();
        }
        if let Some(value) = self.default.filter(|value| *value != "\"\"") {
            default = format!("`{value}`");
        }
        if let Some(example) = self.example.filter(|example| *example != "\"\"") {
            let _ = write!(meaning, " Example: `{example}`.");
        }
        (default, meaning.replace('|', "\\|"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_described_by_the_comment_above_it() {
        let text = "# Head.\n\n# What goes out.\n[out]\n# Where to.\n# It is required.\n# url = \"x:\"\nurl = \"\"\n\
                    # At a time. Default: worker.slots. More is better.\n# slots = 4\n";
        let [section] = &sections(text)[..] else {
            panic!("one section")
        };
        assert_eq!((section.name, section.is_list), ("out", false));
        assert_eq!(section.about, "What goes out.");
        let cells: Vec<_> = section.settings.iter().map(Setting::describe).collect();
        let cell = |default: &str, meaning: &str| (default.to_owned(), meaning.to_owned());
        assert_eq!(
            cells,
            [
                cell(NONE, "Where to. It is required. Example: `\"x:\"`."),
                cell("worker.slots", "At a time. More is better. Example: `4`."),
            ]
        );
    }

    #[test]
    fn every_setting_and_every_section_says_what_it_is() {
        for section in sections(DEFAULTS) {
            assert!(!section.about.is_empty(), "[{}]", section.name);
            assert!(!section.settings.is_empty(), "[{}]", section.name);
            for setting in section.settings {
                let name = setting.name;
                assert!(!setting.about.is_empty(), "{}.{name}", section.name);
            }
        }
    }
}
