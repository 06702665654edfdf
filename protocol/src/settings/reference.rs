//! The settings reference: the commented default as a Markdown page, for `deploy/SETTINGS.md`.

use std::fmt::Write as _;

use super::{
    defaults::DEFAULTS,
    known::{Section, Setting, sections},
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

impl Section {
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
