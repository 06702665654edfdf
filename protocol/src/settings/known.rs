//! Every setting that there is: read from the commented default, so that a new one is known everywhere at once.
//!
//! What a value may be follows from the default or the example and from the name; only enumerations and notations are listed
//! here ([`Kind`]).

mod kind;
mod layout;
mod nearest;
mod schema;

use std::sync::LazyLock;

use super::defaults::DEFAULTS;

pub use self::kind::Kind;
pub(super) use self::{
    layout::{Section, Setting, sections},
    nearest::advice,
};

/// A setting of the settings file.
#[derive(Debug, Clone)]
pub struct Known {
    /// Its section.
    pub section: &'static str,
    /// Its name within the section.
    pub name: &'static str,
    /// Whether its section is a list of tables, which no variable can set.
    pub is_list: bool,
    /// What its value may be.
    pub kind: Kind,
    /// Its default, in TOML; `None` if it need not have a value.
    pub default: Option<&'static str>,
    /// An example of a value, in TOML.
    pub example: Option<&'static str>,
    /// What it is for.
    pub about: String,
}

impl Known {
    /// Returns section and name, as in `worker.slots`.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    /// Returns whether it has no default: it may be unset, and an empty text unsets it.
    pub fn is_optional(&self) -> bool {
        self.default.is_none()
    }

    /// Says what is allowed, to be put behind "must be".
    pub fn allowed(&self) -> String {
        self.kind.allowed(self.example.or(self.default))
    }
}

static KNOWN: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let sections = sections(DEFAULTS).into_iter();
    let settings = sections.flat_map(|section| {
        let Section { name, is_list, .. } = section;
        section.settings.into_iter().map(move |setting| Known {
            section: name,
            name: setting.name,
            is_list,
            kind: Kind::of(name, setting.name, setting.example.or(setting.default)),
            default: setting.default,
            example: setting.example,
            about: setting.about,
        })
    });
    settings
        .filter(|setting| setting.section != "parameters")
        .collect()
});

/// Returns every setting, in the order of the commented default. Sync parameters are not among them: the app names them.
pub fn known() -> &'static [Known] {
    &KNOWN
}

/// Returns a JSON schema of the settings file.
pub fn schema() -> serde_json::Value {
    schema::schema_of(&sections(DEFAULTS))
}

/// Returns the setting of this full name; of a list of tables, as in `streams.stream`.
pub(super) fn find(full_name: &str) -> Option<&'static Known> {
    let (section, name) = full_name.split_once('.')?;
    let mut settings = KNOWN.iter();
    settings.find(|known| known.section == section && known.name == name)
}
