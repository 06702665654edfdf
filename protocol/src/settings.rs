//! The settings that both programs read: the commented default that is compiled in, below the user's file,
//! below the environment.
//!
//! In: `seedbed.toml` or `--config`, and `SEEDBED_*` variables. Out: the program's own type, with every name and type
//! checked; whether a value makes sense is checked by the room that uses it. An error names the setting and where it
//! came from, and never shows a value that could be a secret. Nothing is kept, so a kill leaves nothing.

mod database;
mod defaults;
mod error;
mod explain;
pub mod keys;
mod known;
mod load;
mod reference;
mod secret;
mod sources;
mod template;
mod value;

pub use database::check_database_url;
pub use defaults::{DEFAULTS, SECTIONS};
pub use error::{SettingsError, invalid};
pub use known::{Kind, Known, known, schema};
pub use load::{Effective, effective, load, locate, locate_in, merge, warnings};
pub use reference::reference;
pub use secret::{Secret, optional_secret, without_secrets};
pub use sources::{CONFIG_VARIABLE, ENV_PREFIX, RETIRED, Retired};
pub use template::{ObjectTemplate, TemplateError, TextTemplate, kind_of, quoted};
pub use value::{
    LONGEST_DURATION, duration, list, number, optional_duration, optional_number, positive,
};
