//! What the configuration of a PowerSync service says that Seedbed needs: where the data is, and which tokens it takes.

use super::yaml::{Kind, Node};

/// A service's configuration; of keys only what is public.
#[derive(Debug, Default)]
pub(super) struct Service {
    /// The port that it listens at; the host is not known to itself.
    pub(super) port: Option<String>,
    pub(super) source: Option<Source>,
    pub(super) audiences: Vec<String>,
    pub(super) keys: Vec<Key>,
    pub(super) jwks: Option<String>,
    pub(super) is_supabase: bool,
    pub(super) sync_config: Option<SyncConfig>,
}

/// The database that the service replicates.
#[derive(Debug)]
pub(super) struct Source {
    /// As the service calls it: `postgresql`, `mongodb`, `mysql`, `mssql`.
    pub(super) kind: String,
    /// Without a password; none if it comes from a variable.
    pub(super) url: Option<String>,
    /// Whether there was a password in it.
    pub(super) has_password: bool,
    pub(super) variable: Option<String>,
}

/// A key that tokens may be signed with.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) kid: Option<String>,
    /// `oct` for a shared secret.
    pub(super) kind: String,
    pub(super) algorithm: Option<String>,
    /// The variable that a shared secret comes from.
    pub(super) variable: Option<String>,
}

/// Where the sync config is.
#[derive(Debug)]
pub(super) enum SyncConfig {
    Path(String),
    /// In the service's configuration itself, from a line on.
    Text {
        text: String,
        line: usize,
    },
}

impl Service {
    pub(super) fn is_in(node: &Node) -> bool {
        ["replication", "client_auth", "storage"]
            .iter()
            .any(|name| node.field(name).is_some())
    }

    pub(super) fn of(node: &Node) -> Self {
        let auth = node.field("client_auth");
        let of_auth = |path: &[&str]| auth.and_then(|auth| auth.at(path));
        let audience = of_auth(&["audience"]).or(of_auth(&["additional_audiences"]));
        let audiences = audience.map_or(&[][..], Node::items);
        let keys = of_auth(&["jwks", "keys"]).map_or(&[][..], Node::items);
        let config = node.field("sync_config").or(node.field("sync_rules"));
        let config = config.and_then(|config| {
            let path = config.field("path").and_then(Node::text);
            let path = path.map(|path| SyncConfig::Path(path.to_owned()));
            path.or(config.field("content").and_then(|content| {
                let text = content.text()?.to_owned();
                Some(SyncConfig::Text {
                    text,
                    line: content.line,
                })
            }))
        });
        let connections = node.at(&["replication", "connections"]);
        Self {
            port: text(node.field("port")),
            source: connections
                .and_then(|all| all.items().first())
                .and_then(source),
            audiences: audiences
                .iter()
                .filter_map(Node::text)
                .map(str::to_owned)
                .collect(),
            keys: keys.iter().filter_map(key).collect(),
            jwks: of_auth(&["jwks_uri"]).and_then(|uri| text(uri.items().first())),
            is_supabase: of_auth(&["supabase"]).is_some_and(Node::is_true),
            sync_config: config,
        }
    }
}

fn text(node: Option<&Node>) -> Option<String> {
    node.and_then(Node::text).map(str::to_owned)
}

fn key(node: &Node) -> Option<Key> {
    Some(Key {
        kid: text(node.field("kid")),
        kind: text(node.field("kty"))?,
        algorithm: text(node.field("alg")),
        variable: node.field("k").and_then(Node::variable).map(str::to_owned),
    })
}

fn source(node: &Node) -> Option<Source> {
    let kind = text(node.field("type"))?;
    let uri = node.field("uri");
    let variable = uri.and_then(Node::variable).map(str::to_owned);
    let given = match uri.and_then(Node::text) {
        Some(uri) => Some(uri.to_owned()),
        None => from_parts(&kind, node),
    };
    let (url, has_password) = given.map_or((None, false), |url| without_password(&url));
    let secret = node
        .field("password")
        .is_some_and(|password| match &password.kind {
            Kind::Scalar { text, .. } => !text.is_empty(),
            _ => true,
        });
    Some(Source {
        kind,
        url,
        has_password: has_password || secret,
        variable,
    })
}

/// The URL of a connection that is written as host, port, database and user.
fn from_parts(kind: &str, node: &Node) -> Option<String> {
    let host = text(node.field("hostname"))?;
    let port = text(node.field("port")).map_or(String::new(), |port| format!(":{port}"));
    let user = text(node.field("username")).map_or(String::new(), |user| format!("{user}@"));
    let database = text(node.field("database")).unwrap_or_default();
    Some(format!("{kind}://{user}{host}{port}/{database}"))
}

/// The URL as Seedbed takes it, without its password, and whether it had one.
fn without_password(url: &str) -> (Option<String>, bool) {
    let Some((scheme, rest)) = url.split_once("://") else {
        // A form that is not known may have a password anywhere.
        return (None, true);
    };
    let scheme = match scheme {
        "postgresql" => "postgres",
        scheme => scheme,
    };
    // A password may have any character but the last `@` before the host.
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let end = rest[end..].rfind('@').map_or(end, |at| end + at + 1);
    let Some(at) = rest[..end].rfind('@') else {
        return (Some(format!("{scheme}://{rest}")), false);
    };
    let (user, has_password) = match rest[..at].split_once(':') {
        Some((user, _)) => (user, true),
        None => (&rest[..at], false),
    };
    (
        Some(format!("{scheme}://{user}@{}", &rest[at + 1..])),
        has_password,
    )
}
