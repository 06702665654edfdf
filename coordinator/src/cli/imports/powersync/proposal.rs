//! The settings that the files suggest, and what they do not say.

use super::{
    choice::{Choice, choose, is_id},
    query::Ask,
    selection::{Selection, Stream},
    service::{Key, Service, Source},
};

/// Settings to write, each with where it comes from.
#[derive(Debug, Default)]
pub(in crate::cli) struct Proposal {
    pub(in crate::cli) settings: Vec<Proposed>,
    pub(in crate::cli) parameters: Vec<(String, Value)>,
    pub(in crate::cli) subscriptions: Vec<Subscription>,
    /// What to do before the settings can work, a sentence each.
    pub(in crate::cli) next: Vec<String>,
}

impl Proposal {
    /// Returns what is proposed for a setting; `None` also where only something is known about it.
    pub(in crate::cli) fn value(&self, section: &str, name: &str) -> Option<&Value> {
        let mut settings = self.settings.iter();
        let setting = settings.find(|known| (known.section, known.name) == (section, name))?;
        setting.value.as_ref()
    }

    /// Returns the text that is proposed for a setting.
    pub(in crate::cli) fn text(&self, section: &str, name: &str) -> Option<&str> {
        match self.value(section, name)? {
            Value::Text(text) => Some(text),
            Value::Fields(_) => None,
        }
    }
}

/// A setting, or only what is known about it.
#[derive(Debug)]
pub(in crate::cli) struct Proposed {
    pub(in crate::cli) section: &'static str,
    pub(in crate::cli) name: &'static str,
    pub(in crate::cli) value: Option<Value>,
    /// A comment above it.
    pub(in crate::cli) note: String,
}

/// A value as a settings file writes it.
#[derive(Debug, Clone)]
pub(in crate::cli) enum Value {
    Text(String),
    Fields(Vec<(String, String)>),
}

/// A stream to subscribe to.
#[derive(Debug)]
pub(in crate::cli) struct Subscription {
    pub(in crate::cli) stream: String,
    pub(in crate::cli) parameters: Vec<(String, String)>,
    /// Why it is only a comment.
    pub(in crate::cli) unknown: Option<String>,
}

/// Proposes settings from what there is.
pub(super) fn proposal(service: Option<&Service>, selection: Option<&Selection>) -> Proposal {
    let mut proposal = Proposal::default();
    proposal.add_service(service);
    match selection {
        Some(selection) => proposal.add_selection(selection, service),
        None => proposal.note(
            "source",
            "query",
            "Not known: no sync config was found. Give it as a second --from-sync-config.",
        ),
    }
    proposal
}

impl Proposal {
    fn set(
        &mut self,
        section: &'static str,
        name: &'static str,
        value: impl Into<String>,
        note: impl Into<String>,
    ) {
        let (value, note) = (Some(Value::Text(value.into())), note.into());
        self.settings.push(Proposed {
            section,
            name,
            value,
            note,
        });
    }

    fn note(&mut self, section: &'static str, name: &'static str, note: impl Into<String>) {
        let note = note.into();
        self.settings.push(Proposed {
            section,
            name,
            value: None,
            note,
        });
    }

    fn add_service(&mut self, service: Option<&Service>) {
        let Some(service) = service else {
            self.note(
                "powersync",
                "endpoint",
                "Not known: no configuration of the service was given.",
            );
            return;
        };
        let port = match &service.port {
            Some(port) => format!("It listens at port {port}."),
            None => "It listens at port 8080 by default.".to_owned(),
        };
        self.note(
            "powersync",
            "endpoint",
            format!(
                "Not known: a service's configuration does not say where apps reach it. {port}"
            ),
        );
        self.add_key(service);
        self.add_audience(service);
        if let Some(source) = &service.source {
            self.add_source(source);
        }
    }

    fn add_source(&mut self, source: &Source) {
        if source.kind == "mssql" {
            self.note(
                "source",
                "url",
                "Not possible: the service replicates SQL Server, which Seedbed does not read. Give a list: --stores FILE.",
            );
            return;
        }
        match (&source.url, &source.variable) {
            (Some(url), _) => self.set(
                "source",
                "url",
                url,
                "From the service's replication.connections. Better a user that may only read the table of stores.",
            ),
            (None, Some(variable)) => self.note(
                "source",
                "url",
                format!(
                    "Not known: the service takes it from its variable {variable}. Set SEEDBED_SOURCE__URL, better to a user that \
                     may only read the table of stores."
                ),
            ),
            (None, None) => self.note("source", "url", "Not known: the service's connection has no URL that can be read."),
        }
        if source.has_password {
            self.next.push(
                "export SEEDBED_SOURCE__URL=…    # the URL of the database with a password, which was left out".to_owned(),
            );
        }
    }

    fn add_key(&mut self, service: &Service) {
        let algorithms = ["HS256", "RS256", "ES256", "EdDSA"];
        let algorithm = |key: &Key| match (&key.algorithm, key.kind.as_str()) {
            (Some(algorithm), _) => Some(algorithm.clone()),
            (None, "oct") => Some("HS256".to_owned()),
            (None, _) => None,
        };
        let usable =
            |key: &&Key| algorithm(key).is_some_and(|name| algorithms.contains(&name.as_str()));
        let named = |key: &&Key| key.kid.as_deref() == Some("seedbed");
        let is_shared = |key: &&Key| key.kind == "oct";
        let keys = || service.keys.iter().filter(usable);
        let key = keys()
            .find(named)
            .or(keys().find(is_shared))
            .or(keys().next());
        let Some(key) = key else {
            let note = match (&service.jwks, service.is_supabase) {
                (_, true) => {
                    "From the service: it takes Supabase's tokens. With Supabase's legacy JWT secret as SEEDBED_TOKEN__SECRET no kid is \
                     needed; otherwise add a key for Seedbed to the service's client_auth.jwks."
                        .to_owned()
                }
                (Some(uri), false) => format!(
                    "Not known: the service takes the keys that {uri} publishes. Add one for Seedbed there, or to client_auth.jwks."
                ),
                (None, false) => "Not known: the service lists no key. Add one for Seedbed to its client_auth.jwks.".to_owned(),
            };
            self.note("token", "kid", note);
            return;
        };
        let algorithm = algorithm(key).unwrap_or_default();
        match (&key.kid, key.kind.as_str()) {
            (Some(kid), _) => self.set("token", "kid", kid, "From the service's client_auth.jwks."),
            (None, _) => self.note(
                "token",
                "kid",
                "The service's key in client_auth.jwks has none.",
            ),
        }
        if key.kind == "oct" {
            let variable = match &key.variable {
                Some(variable) => format!(", which the service takes from its variable {variable}"),
                None => String::new(),
            };
            self.note(
                "token",
                "secret",
                format!("The `k` of that key{variable}. It was not copied."),
            );
        } else {
            self.note(
                "token",
                "key_file",
                format!(
                    "Not known: the file of the private key to that public one, in PEM. Set token.algorithm = \"{algorithm}\" with it, \
                     or give --algorithm and --key-file."
                ),
            );
        }
    }

    fn add_audience(&mut self, service: &Service) {
        match (&service.audiences[..], service.is_supabase) {
            ([only], _) => self.set("token", "audience", only, "From the service's client_auth.audience."),
            ([first, others @ ..], _) => {
                let others = others.join(", ");
                let note = format!("From the service's client_auth.audience, which also takes {others}.");
                self.set("token", "audience", first, note);
            }
            ([], true) => self.set("token", "audience", "authenticated", "The audience of Supabase's tokens."),
            ([], false) => self.note(
                "token",
                "audience",
                "Not known: the service's configuration names none. PowerSync Cloud takes the instance's own URL.",
            ),
        }
    }

    fn add_selection(&mut self, selection: &Selection, service: Option<&Service>) {
        let kind = service
            .and_then(|service| service.source.as_ref())
            .map_or("", |source| &source.kind);
        let choice = choose(selection);
        match &choice {
            Some(choice) => self.add_stores(choice, selection, kind),
            None => self.note(
                "source",
                "query",
                "Not known: the sync config compares no column with a claim or a parameter in a way that is read here. One row per \
                 store; its columns become the token's claims.",
            ),
        }
        self.add_parameters(choice.as_ref(), selection);
        for stream in &selection.streams {
            self.subscriptions
                .push(subscription(stream, choice.as_ref()));
        }
    }

    fn add_stores(&mut self, choice: &Choice<'_>, selection: &Selection, kind: &str) {
        let (store, column) = (choice.store_id(), choice.column);
        let mut note = format!(
            "From the sync config: it compares {} with {}.{}.",
            described(choice.ask),
            column.table,
            column.name
        );
        let known = choice.columns(selection);
        let others = selection
            .asks
            .iter()
            .filter_map(|selects| match &selects.ask {
                Ask::Claim(path)
                    if selects.ask != *choice.ask
                        && !known.iter().any(|(name, _)| [*name] == path[..]) =>
                {
                    Some(path.join("."))
                }
                _ => None,
            });
        let others: Vec<String> = others.collect();
        if !others.is_empty() {
            note += &format!(
                " Not known: where its other claims come from ({}). Add a column of that name for each; of a.b, a JSON column a.",
                others.join(", ")
            );
        }
        if kind == "mongodb" {
            self.set("source", "collection", &column.table, note);
            let field = if is_id(column) { "_id" } else { &column.name };
            let mut fields = vec![(store.to_owned(), field.to_owned())];
            fields.extend(
                known
                    .iter()
                    .map(|(name, column)| ((*name).to_owned(), column.name.clone())),
            );
            self.settings.push(Proposed {
                section: "source",
                name: "fields",
                value: Some(Value::Fields(fields)),
                note: match is_id(column) {
                    true => String::new(),
                    false => "Each document has to be another store.".to_owned(),
                },
            });
        } else {
            self.set("source", "query", choice.query(selection, kind), note);
        }
        if store != "store_id" {
            self.set(
                "source",
                "store_id",
                store,
                "The claim that the sync config selects by.",
            );
        }
        match choice.ask {
            Ask::Claim(path) if path[..] == ["sub"] => self.set(
                "token",
                "subject",
                "{{store_id}}",
                "From the sync config: it selects by the user's id, which is the token's `sub`.",
            ),
            Ask::Claim(path) if path.len() > 1 => self.next.push(format!(
                "make source.query give a JSON column {:?} with {} in it: the sync config reads that claim",
                path[0],
                path[1..].join(".")
            )),
            _ => {}
        }
    }

    /// The parameters of the connection.
    fn add_parameters(&mut self, choice: Option<&Choice<'_>>, selection: &Selection) {
        for selects in &selection.asks {
            let Ask::Connection(name) = &selects.ask else {
                continue;
            };
            match choice {
                Some(choice) if selects.columns.contains(choice.column) || selects.ask == *choice.ask => {
                    let value = format!("{{{{{}}}}}", choice.store_id());
                    self.parameters.push((name.clone(), Value::Text(value)));
                }
                _ => self.next.push(format!(
                    "set {name:?} in [parameters]: the sync config asks for it, and not where it comes from"
                )),
            }
        }
    }
}

fn described(ask: &Ask) -> String {
    match ask {
        Ask::Claim(path) if path[..] == ["sub"] => "the user's id".to_owned(),
        Ask::Claim(path) => format!("the claim {}", path.join(".")),
        Ask::Connection(name) => format!("the connection's parameter {name}"),
        Ask::Subscription(name) => format!("the subscription's parameter {name}"),
        Ask::Bucket(name) => format!("bucket.{name}"),
    }
}

fn subscription(stream: &Stream, choice: Option<&Choice<'_>>) -> Subscription {
    let mut unknown = Vec::new();
    let parameters = stream.parameters.iter().map(|selects| {
        let Ask::Subscription(name) = &selects.ask else {
            unreachable!("only these are parameters of a stream");
        };
        let store = choice
            .filter(|choice| selects.ask == *choice.ask || selects.columns.contains(choice.column));
        let column = store.map_or(name.as_str(), Choice::store_id);
        if store.is_none() {
            unknown.push(name.clone());
        }
        (name.clone(), format!("{{{{{column}}}}}"))
    });
    let parameters = parameters.collect();
    let unknown = (!unknown.is_empty()).then(|| unknown.join(", "));
    Subscription {
        stream: stream.name.clone(),
        parameters,
        unknown,
    }
}
