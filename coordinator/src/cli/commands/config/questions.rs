//! What `seedbed init` writes: what options give, what the service's own files say, and what a person answers on a terminal.

use std::io::{BufRead, Write};

use seedbed_protocol::settings::{self, DEFAULTS, SettingsError};
use url::Url;

use super::filled::filled;
use crate::{
    cli::{
        args::InitArgs,
        exit::CliError,
        imports::{Proposal, Proposed, Value, propose},
    },
    settings::Settings,
};

/// A setting that is asked for: its section, its name, what an option gives, and the question.
type Question<'a> = (&'static str, &'static str, &'a Option<String>, &'static str);

/// Why a password is refused, whoever gives it.
const PASSWORD: &str = "there is a password in it, which does not belong into a file: leave it out, and set \
                        SEEDBED_SOURCE__URL later";

/// Somebody who can be asked.
pub(super) trait Answers {
    /// Asks once; an empty answer leaves the setting out.
    fn ask(&mut self, question: &str) -> Result<String, CliError>;

    /// Says why an answer cannot be taken.
    fn refuse(&mut self, reason: &str);
}

/// A person at a terminal.
pub(super) struct Terminal<R, W> {
    read: R,
    write: W,
}

impl<R: BufRead, W: Write> Terminal<R, W> {
    pub(super) fn new(read: R, write: W) -> Self {
        Self { read, write }
    }
}

impl<R: BufRead, W: Write> Answers for Terminal<R, W> {
    fn ask(&mut self, question: &str) -> Result<String, CliError> {
        let mut line = String::new();
        let asked = write!(self.write, "{question}: ")
            .and_then(|()| self.write.flush())
            .and_then(|()| self.read.read_line(&mut line));
        match asked {
            // Ctrl-D: there will be no more answers.
            Ok(0) => {
                let _ = writeln!(self.write);
                Err(CliError::Unanswered)
            }
            Ok(_) => Ok(line.trim().to_owned()),
            Err(source) => Err(CliError::NotAsked(source)),
        }
    }

    fn refuse(&mut self, reason: &str) {
        let _ = writeln!(self.write, "  {reason}");
    }
}

/// What options give, then what the service's own files suggest, and what is answered about the rest.
pub(super) fn proposal(
    args: &InitArgs,
    mut person: Option<&mut dyn Answers>,
) -> Result<Proposal, CliError> {
    let mut proposal = propose(&args.from_sync_config)?;
    for (section, name, given, question) in questions(args) {
        let is_known = proposal.value(section, name).is_some();
        let value = match (given, person.as_deref_mut()) {
            (Some(value), _) => value.clone(),
            (None, _) if is_known => continue,
            (None, Some(person)) if is_wanted(&proposal, section, name) => {
                answered(person, section, name, question)?
            }
            (None, _) => continue,
        };
        if !value.is_empty() {
            set(&mut proposal, section, name, value);
        }
    }
    // Of another URL, its own check says so.
    let sources = proposal.settings.iter();
    let sources = sources.filter(|setting| setting.section == "source");
    let mut values = sources.filter_map(|setting| setting.value.as_ref());
    match values.any(|value| matches!(value, Value::Text(text) if has_password(text))) {
        true => Err(CliError::PasswordInFile),
        false => Ok(proposal),
    }
}

fn set(proposal: &mut Proposal, section: &'static str, name: &'static str, value: String) {
    let setting = Proposed {
        section,
        name,
        value: Some(Value::Text(value)),
        note: String::new(),
    };
    let mut known = proposal.settings.iter_mut();
    match known.find(|known| (known.section, known.name) == (section, name)) {
        Some(proposed) => *proposed = setting,
        None => proposal.settings.push(setting),
    }
}

/// Whether the setting makes sense beside what is known by now.
fn is_wanted(proposal: &Proposal, section: &str, name: &str) -> bool {
    let text = |section, name| proposal.text(section, name).unwrap_or_default();
    match (section, name) {
        ("source", "query") => {
            let url = text("source", "url");
            !url.starts_with("mongodb") && !url.starts_with("file:")
        }
        ("source", "collection") => text("source", "url").starts_with("mongodb"),
        ("token", "key_file") => !["", "HS256"].contains(&text("token", "algorithm")),
        _ => true,
    }
}

/// Asks until the answer can be taken.
fn answered(
    person: &mut dyn Answers,
    section: &'static str,
    name: &'static str,
    question: &str,
) -> Result<String, CliError> {
    loop {
        let value = person.ask(question)?;
        if value.is_empty() {
            return Ok(value);
        }
        match refusal(section, name, &value) {
            Some(reason) => person.refuse(&reason),
            None => return Ok(value),
        }
    }
}

/// Why a value cannot be that of the setting, whatever the others are.
fn refusal(section: &'static str, name: &'static str, value: &str) -> Option<String> {
    if section == "source" && has_password(value) {
        return Some(PASSWORD.to_owned());
    }
    let mut proposal = Proposal::default();
    set(&mut proposal, section, name, value.to_owned());
    let directory = tempfile::tempdir().ok()?;
    let file = directory.path().join("answer.toml");
    std::fs::write(&file, filled(DEFAULTS, &proposal)).ok()?;
    let read = settings::merge::<Settings>(Some(&file), []);
    let refused = read.and_then(|settings| settings.check_values()).err()?;
    // Nothing is written yet, so there is no line to name.
    Some(match refused {
        SettingsError::Value { reason, .. } => reason,
        SettingsError::Invalid { problem, .. } => format!("it {problem}"),
        other => other.to_string(),
    })
}

fn has_password(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| url.password().is_some())
}

/// What is asked for, with what the options say.
fn questions(args: &InitArgs) -> [Question<'_>; 9] {
    [
        (
            "powersync",
            "endpoint",
            &args.endpoint,
            "URL of your PowerSync service",
        ),
        (
            "source",
            "url",
            &args.source,
            "Database with your stores, without a password (postgres://, mysql://, mongodb://, sqlite:, file:)",
        ),
        (
            "source",
            "query",
            &args.query,
            "SQL query with one row per store (SELECT id AS store_id …)",
        ),
        (
            "source",
            "collection",
            &args.collection,
            "Collection with one document per store",
        ),
        (
            "token",
            "algorithm",
            &args.algorithm,
            "Algorithm of the service's key [HS256]",
        ),
        (
            "token",
            "key_file",
            &args.key_file,
            "PEM file of the private key",
        ),
        (
            "token",
            "kid",
            &args.kid,
            "Key id (kid) of that key in the service's configuration",
        ),
        (
            "token",
            "audience",
            &args.audience,
            "Audience that the service expects",
        ),
        (
            "schema",
            "file",
            &args.schema,
            "The app's schema as JSON (inferred from the rows without it)",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::{Cli, Command};

    /// What is proposed, or why nothing is, and what was shown.
    fn answering(answers: &str) -> (Result<Vec<String>, CliError>, String) {
        let cli = Cli::try_parse_from(["seedbed", "init"]).unwrap();
        let Command::Init(args) = cli.command else {
            panic!("another command");
        };
        let mut shown = Vec::new();
        let mut terminal = Terminal::new(answers.as_bytes(), &mut shown);
        let proposed = proposal(&args, Some(&mut terminal)).map(|proposal| {
            let settings = proposal.settings.into_iter();
            let named = settings.map(|setting| match setting.value {
                Some(Value::Text(text)) => format!("{}.{} {text}", setting.section, setting.name),
                _ => panic!("no text"),
            });
            named.collect()
        });
        (proposed, String::from_utf8(shown).unwrap())
    }

    #[test]
    fn a_wrong_answer_is_asked_for_again_and_loses_no_other() {
        let answers = "https://ps.example.com\npostgres://me:hunter2@db/app\npostgres://me@db/app\n\
                       SELECT 1\nHS1024\nHS256\nkid\n\n\n";
        let (proposed, shown) = answering(answers);
        let expected = [
            "powersync.endpoint https://ps.example.com",
            "source.url postgres://me@db/app",
            "source.query SELECT 1",
            "token.algorithm HS256",
            "token.kid kid",
        ];
        assert_eq!(proposed.unwrap(), expected);
        for said in ["SEEDBED_SOURCE__URL", "one of HS256, RS256"] {
            assert!(shown.contains(said), "{shown}");
        }
        for unsaid in ["PEM file", "hunter2", "--source", "answer.toml"] {
            assert!(!shown.contains(unsaid), "{unsaid}: {shown}");
        }
    }

    #[test]
    fn a_key_file_is_asked_for_where_there_is_one_and_a_query_where_there_is_sql() {
        for (list, collection) in [("file:stores.csv", ""), ("mongodb://db/app", "shops\n")] {
            let answers = format!("\n{list}\n{collection}ES256\nkey.pem\n\n\n\n");
            let (proposed, shown) = answering(&answers);
            let proposed = proposed.unwrap();
            let named = proposed.contains(&"source.collection shops".to_owned());
            assert_eq!(named, !collection.is_empty(), "{proposed:?}");
            assert!(
                proposed.contains(&"token.key_file key.pem".to_owned()),
                "{proposed:?}"
            );
            assert!(!shown.contains("SQL query"), "{shown}");
        }
    }

    #[test]
    fn the_end_of_answers_ends_it() {
        let (proposed, _) = answering("https://ps.example.com\n");
        assert!(matches!(proposed, Err(CliError::Unanswered)));
    }
}
