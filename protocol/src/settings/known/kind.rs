//! What the value of a setting may be.

/// What the value of a setting may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A text that is never shown.
    Secret,
    /// A URL.
    Url,
    /// Where a part is: a scheme and what follows it. May contain a password.
    Place,
    /// A text such as `"90s"`.
    Duration,
    /// A whole number, not below zero.
    Whole,
    /// A number, not below zero.
    Number,
    /// `true` or `false`.
    Flag,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// Times in cron's notation.
    Schedule,
    /// A log filter.
    LogFilter,
    /// An IP address with a port.
    Address,
    /// A file or a directory.
    Path,
    /// A list of texts.
    List,
    /// A list of forms and encodings.
    Renditions,
    /// A table of texts.
    Table,
    /// A text with a JSON object in it.
    Json,
}

const SECRET_ENCODINGS: &[&str] = &["auto", "base64url", "text"];

/// What neither the name nor the default of a setting shows.
const NOTATIONS: [(&str, &str, Kind); 16] = [
    ("powersync", "format", Kind::OneOf(&["auto", "ndjson"])),
    (
        "powersync",
        "compression",
        Kind::OneOf(&["zstd", "gzip", "none"]),
    ),
    (
        "token",
        "algorithm",
        Kind::OneOf(&["HS256", "RS256", "ES256", "EdDSA"]),
    ),
    ("token", "secret_encoding", Kind::OneOf(SECRET_ENCODINGS)),
    ("download", "secret_encoding", Kind::OneOf(SECRET_ENCODINGS)),
    (
        "snapshots",
        "unreadable_rows",
        Kind::OneOf(&["warn", "refuse"]),
    ),
    (
        "notify",
        "template",
        Kind::OneOf(&["json", "slack", "pagerduty"]),
    ),
    ("log", "format", Kind::OneOf(&["auto", "pretty", "json"])),
    ("log", "level", Kind::LogFilter),
    ("serve", "schedule", Kind::Schedule),
    ("snapshots", "renditions", Kind::Renditions),
    ("source", "filter", Kind::Json),
    ("powersync", "endpoint", Kind::Place),
    ("snapshots", "url", Kind::Place),
    ("serve", "trace_url", Kind::Place),
    ("login", "issuer", Kind::Url),
];

/// Returns whether the value of a setting must not be shown. Decided by the end of its name, so that a new one is not
/// forgotten.
fn is_secret(name: &str) -> bool {
    [
        "secret",
        "admin_token",
        "sealing_key",
        "webhook",
        "routing_key",
    ]
    .iter()
    .any(|end| name.ends_with(end))
}

impl Kind {
    /// Returns the kind of a setting from its name and a value of it in TOML.
    pub(super) fn of(section: &str, name: &str, value: Option<&str>) -> Self {
        let notation = NOTATIONS
            .iter()
            .find(|(s, n, _)| (*s, *n) == (section, name));
        if let Some((_, _, kind)) = notation {
            return *kind;
        }
        let table = value.and_then(|value| format!("x = {value}").parse::<toml::Table>().ok());
        match table.as_ref().and_then(|table| table.get("x")) {
            _ if is_secret(name) => Self::Secret,
            Some(toml::Value::Boolean(_)) => Self::Flag,
            Some(toml::Value::Integer(_)) => Self::Whole,
            Some(toml::Value::Float(_)) => Self::Number,
            Some(toml::Value::Array(_)) => Self::List,
            Some(toml::Value::Table(_)) => Self::Table,
            Some(toml::Value::String(text)) => Self::of_text(name, text),
            _ => Self::Text,
        }
    }

    fn of_text(name: &str, text: &str) -> Self {
        match name {
            "url" => Self::Place,
            _ if name.ends_with("url") || name.ends_with("endpoint") => Self::Url,
            _ if name.ends_with("listen") => Self::Address,
            _ if name.ends_with("file") || name.ends_with("directory") => Self::Path,
            _ if humantime::parse_duration(text).is_ok() => Self::Duration,
            _ => Self::Text,
        }
    }

    /// Says what is allowed, with an `example` in TOML.
    pub(super) fn allowed(self, example: Option<&str>) -> String {
        let such_as = example
            .filter(|example| *example != "\"\"")
            .map_or_else(String::new, |example| format!(" such as {example}"));
        match self {
            Self::Text | Self::Secret => "a text".to_owned(),
            Self::Url | Self::Place => format!("a URL{such_as}"),
            Self::Duration => "a duration such as \"90s\", \"5m\" or \"1h 30m\"".to_owned(),
            Self::Whole => "a whole number, not negative".to_owned(),
            Self::Number => "a number, not negative".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::OneOf(names) => {
                let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
                format!("one of {}", quoted.join(", "))
            }
            Self::Schedule => format!("a schedule{such_as}"),
            Self::LogFilter => {
                "\"error\", \"warn\", \"info\", \"debug\", \"trace\", \"off\", or a filter such as \
                 \"warn,seedbed=debug\""
                    .to_owned()
            }
            Self::Address => format!("an IP address with a port{such_as}"),
            Self::Path => "the path of a file or a directory".to_owned(),
            Self::List | Self::Renditions => format!("a list of texts{such_as}"),
            Self::Json => format!("a text with a JSON object{such_as}"),
            Self::Table => format!("a table{such_as}"),
        }
    }
}
