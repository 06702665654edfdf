//! Reads the layout that `seedbed.toml` keeps to: which sections and settings it documents.

/// A section of the commented default.
pub(in crate::settings) struct Section {
    pub(in crate::settings) name: &'static str,
    /// Whether it is a list of tables, which no variable can set.
    pub(in crate::settings) is_list: bool,
    pub(in crate::settings) about: String,
    pub(in crate::settings) settings: Vec<Setting>,
}

/// A setting of a section.
pub(in crate::settings) struct Setting {
    pub(in crate::settings) name: &'static str,
    pub(in crate::settings) default: Option<&'static str>,
    pub(in crate::settings) example: Option<&'static str>,
    pub(in crate::settings) about: String,
}

/// Reads the layout that `seedbed.toml` keeps to: a comment, then the section or the setting that it is about. A
/// setting without a default is a comment itself, and its value an example.
pub(in crate::settings) fn sections(text: &'static str) -> Vec<Section> {
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
}
