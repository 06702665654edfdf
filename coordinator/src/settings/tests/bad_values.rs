//! Every setting with values that it cannot have, in a file and in a variable: refused by its name, its value and where it
//! is set. A new setting is among them as soon as the commented default has it.

use seedbed_protocol::settings::{self, Kind, Known, SettingsError, known};

use super::Settings;

/// What no setting can be, in TOML.
const OF_NO_TYPE: &str = "[[[\"x\"]]]";

/// Values that a kind cannot have, as a variable has them.
fn bad_values(setting: &Known) -> &'static [&'static str] {
    match setting.kind {
        // Any text can be one.
        Kind::Text | Kind::Path | Kind::Secret => &[],
        Kind::Url | Kind::Place => &["nosuch", "carrier-pigeon:x"],
        Kind::Duration => &["2 fortnights", "5", "-1s", "soon", "99999999d"],
        Kind::Whole => &["many", "-1", "1.5", "99999999999999999999"],
        Kind::Number => &["many", "-1"],
        Kind::Flag => &["sometimes", "2"],
        Kind::OneOf(_) => &["nosuch"],
        Kind::Schedule => &["every hour", "61 * * * *"],
        Kind::LogFilter => &["loud", "seedbed=loud"],
        Kind::Address => &["localhost", "127.0.0.1"],
        // What a provider of logins calls somebody can be anything.
        Kind::List if setting.section == "login" && setting.name != "scopes" => &[],
        Kind::List => &["nosuch"],
        Kind::Renditions => &["file/brotli", "compact/gzip"],
        Kind::Table | Kind::Json => &["nosuch"],
    }
}

fn read(
    text: &str,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Settings, SettingsError> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("my.toml");
    std::fs::write(&file, text).unwrap();
    let variables: Vec<_> = variables.into_iter().collect();
    let settings: Settings = settings::merge(Some(&file), variables.clone())?;
    match settings.check_values() {
        Ok(()) => Ok(settings),
        Err(error) => Err(settings::locate_in(Some(&file), variables, error)),
    }
}

fn variable(setting: &Known) -> String {
    format!(
        "SEEDBED_{}__{}",
        setting.section.to_uppercase(),
        setting.name.to_uppercase()
    )
}

/// Whether an error may show a bad value: one in a place for a password may be all password.
fn is_shown(setting: &Known) -> bool {
    let hides = ["source.url", "catalog.url", "broker.url"];
    setting.kind != Kind::Secret && !hides.contains(&setting.full_name().as_str())
}

#[test]
fn every_setting_refuses_a_value_of_no_type_in_the_file() {
    for setting in known() {
        let (section, name) = (setting.section, setting.name);
        let (open, path) = match setting.is_list {
            true => ("[[streams]]\n".to_owned(), format!("{section}.0.{name}")),
            false => (format!("[{section}]\n"), setting.full_name()),
        };
        let others = match setting.is_list && name != "stream" {
            true => "stream = \"x\"\n",
            false => "",
        };
        let text = format!("# a comment\n{open}{others}{name} = {OF_NO_TYPE}\n");
        let line = text.lines().count();
        let error = read(&text, []).unwrap_err().to_string();
        assert!(error.starts_with(&path), "{path}: {error}");
        assert!(error.contains(&format!("my.toml, line {line}")), "{error}");
        assert!(error.contains("must be"), "{error}");
        assert_eq!(error.contains(OF_NO_TYPE), is_shown(setting), "{error}");
    }
}

#[test]
fn every_setting_refuses_what_its_kind_cannot_be_in_a_variable() {
    for setting in known().iter().filter(|setting| !setting.is_list) {
        for bad in bad_values(setting) {
            let name = variable(setting);
            let error = read("", [(name.clone(), (*bad).to_owned())]);
            let error = error.map(|_| panic!("{name} = {bad} is taken"));
            let error = error.unwrap_err().to_string();
            assert!(error.contains(&setting.full_name()), "{name}: {error}");
            assert!(error.contains(&name), "{name} = {bad}: {error}");
            assert_eq!(error.contains(bad), is_shown(setting), "{name}: {error}");
        }
    }
}

#[test]
fn a_setting_that_is_any_text_takes_any() {
    // An enumeration that the settings do not list as one fails here.
    for setting in known().iter().filter(|setting| !setting.is_list) {
        if matches!(setting.kind, Kind::Text | Kind::Path) {
            let taken = read("", [(variable(setting), "any text".to_owned())]);
            assert!(taken.is_ok(), "{}: {taken:?}", setting.full_name());
        }
    }
}

#[test]
fn each_name_of_an_enumeration_is_taken_and_listed_by_errors() {
    for setting in known() {
        let Kind::OneOf(names) = setting.kind else {
            continue;
        };
        for name in names {
            let taken = read("", [(variable(setting), (*name).to_owned())]);
            assert!(taken.is_ok(), "{}: {taken:?}", setting.full_name());
        }
        let error = read("", [(variable(setting), "nosuch".to_owned())]);
        let error = error.unwrap_err().to_string();
        for name in names {
            assert!(error.contains(name), "{error}");
        }
    }
}

#[test]
fn an_empty_text_unsets_what_may_be_unset_and_is_refused_elsewhere() {
    for setting in known().iter().filter(|setting| !setting.is_list) {
        let read = read("", [(variable(setting), String::new())]);
        let name = setting.full_name();
        if setting.is_optional() {
            assert!(read.is_ok(), "{name}: {read:?}");
        } else if !matches!(setting.kind, Kind::Text | Kind::Path | Kind::List)
            && name != "powersync.endpoint"
        {
            let error = read.unwrap_err().to_string();
            assert!(error.contains(&variable(setting)), "{name}: {error}");
        }
    }
    let file = "[serve]\nschedule = \"0 * * * *\"\n";
    let none = ("SEEDBED_SERVE__SCHEDULE".to_owned(), String::new());
    assert!(read(file, []).unwrap().serve.schedule.is_some());
    assert!(read(file, [none]).unwrap().serve.schedule.is_none());
}

#[test]
fn every_misspelt_setting_is_named_with_what_it_was_meant_to_be() {
    for setting in known().iter().filter(|setting| !setting.is_list) {
        let name = format!("{}X", variable(setting));
        let secret = "hunter2".to_owned();
        let error = read("", [(name.clone(), secret)]).unwrap_err().to_string();
        let meant = format!("did you mean {}?", variable(setting));
        assert!(error.contains(&name) && error.contains(&meant), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
