//! Settings as they are read from a file and from variables: what is refused, and how it is named.

mod bad_values;

use std::time::Duration;

use seedbed_protocol::settings::{self, SettingsError};
use serde_json::Value as Json;

use super::Settings;

const GOOD: &str = r#"
    powersync.endpoint = "https://powersync.example.com"
    token.secret = "c2VjcmV0"
"#;

fn load(text: &str, variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("my.toml");
    std::fs::write(&path, text).unwrap();
    let variables: Vec<_> = variables
        .iter()
        .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
        .collect();
    let settings: Settings = settings::merge(Some(&path), variables.clone())?;
    // As every program does, and what `seedbed local` does besides.
    let checked = settings.check_values();
    match checked.and_then(|()| settings.check_local()) {
        Ok(()) => Ok(settings),
        Err(error) => Err(settings::locate_in(Some(&path), variables, error)),
    }
}

fn refused(text: &str, variables: &[(&str, &str)]) -> String {
    load(text, variables).unwrap_err().to_string()
}

#[test]
fn the_defaults_need_only_an_endpoint_and_a_secret() {
    let settings = load(GOOD, &[]).unwrap();
    assert_eq!(settings.worker.max_attempts, 5);
    assert_eq!(settings.token.lifetime, Duration::from_secs(300));
    assert_eq!(settings.schema.subscription_ttl.as_secs(), 90 * 86_400);
    assert!(settings.streams.is_empty() && settings.parameters.is_empty());
}

#[test]
fn a_variable_overrides_the_file_and_keeps_digits_as_text() {
    let settings = load(
        GOOD,
        &[
            ("SEEDBED_TOKEN__SECRET", "12345678"),
            ("SEEDBED_WORKER__SLOTS", "3"),
            ("SEEDBED_CONFIG", "my.toml"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(settings.token.secret.unwrap().expose(), "12345678");
    assert_eq!(settings.worker.slots, Some(3));
}

#[test]
fn a_variable_keeps_the_case_of_a_parameter() {
    let variables = [
        ("SEEDBED_PARAMETERS__storeRegion", "EU"),
        ("SEEDBED_PARAMETERS__Limits__MAX", "5"),
    ];
    let settings = load(GOOD, &variables).unwrap();
    assert_eq!(
        Json::from(settings.parameters),
        serde_json::json!({"storeRegion": "EU", "Limits": {"MAX": "5"}})
    );
}

#[test]
fn streams_and_parameters_keep_their_json_types() {
    let text = format!(
        "{GOOD}\n[parameters]\nlimit = 5\nlive = true\n\
         [[streams]]\nstream = \"s\"\npriority = 1\nparameters = {{ store = \"{{{{id}}}}\", n = 1 }}\n"
    );
    let settings = load(&text, &[]).unwrap();
    assert_eq!(
        Json::from(settings.parameters),
        serde_json::json!({"limit": 5, "live": true})
    );
    let stream = &settings.streams[0];
    assert_eq!(stream.priority, Some(1));
    assert_eq!(
        Json::from(stream.parameters.clone().unwrap()),
        serde_json::json!({"n": 1, "store": "{{id}}"})
    );
}

#[test]
fn a_misspelt_setting_is_named_with_its_file_and_the_nearest_name() {
    let error = refused(&format!("{GOOD}\nworker.slot = 3"), &[]);
    assert!(
        error.contains("worker.slot ") && error.contains("my.toml"),
        "{error}"
    );
    assert!(error.contains("did you mean worker.slots?"), "{error}");
    let error = refused(&format!("{GOOD}\n[workr]\nslots = 3"), &[]);
    assert!(
        error.contains("workr") && error.contains("did you mean worker?"),
        "{error}"
    );
    let error = refused(
        &format!("{GOOD}\n[[streams]]\nstream = \"x\"\nprio = 1"),
        &[],
    );
    assert!(
        error.contains("streams") && error.contains("prio") && error.contains("priority"),
        "{error}"
    );
}

#[test]
fn an_unknown_variable_is_named() {
    let error = refused(GOOD, &[("SEEDBED_TOKEN__SECRT", "x")]);
    assert!(error.contains("SEEDBED_TOKEN__SECRT"), "{error}");
    assert!(
        error.contains("token.secrt") && error.contains("did you mean SEEDBED_TOKEN__SECRET?"),
        "{error}"
    );
    let error = refused(GOOD, &[("SEEDBED_SECRET", "hunter2")]);
    assert!(
        error.contains("SEEDBED_SECRET") && error.contains("SEEDBED_TOKEN__SECRET"),
        "{error}"
    );
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn a_secret_of_the_wrong_type_is_not_shown() {
    for secret in ["424242", "[\"424242\"]", "true", "{ a = \"424242\" }"] {
        let error = refused(&format!("token.secret = {secret}"), &[]);
        assert!(
            error.contains("token.secret") && error.contains("my.toml"),
            "{error}"
        );
        assert!(!error.contains("424242"), "{error}");
    }
    let error = refused("[token]\nsecret = \"424242", &[]);
    assert!(
        error.contains("line 2") && !error.contains("424242"),
        "{error}"
    );
    let error = refused(GOOD, &[("SEEDBED_TOKEN", "424242")]);
    assert!(
        error.contains("SEEDBED_TOKEN") && !error.contains("424242"),
        "{error}"
    );
    let shown = format!("{:?}", load(GOOD, &[]).unwrap());
    assert!(!shown.contains("c2VjcmV0"), "{shown}");
}

#[test]
fn a_password_in_a_url_is_not_shown() {
    for (variable, value) in [
        ("SEEDBED_CATALOG__URL", "postgres://me:hunter2@db/c"),
        ("SEEDBED_CATALOG__URL", "postgres://me:hunter2/x@db/c"),
        ("SEEDBED_CATALOG__URL", "me:hunter2@db/c"),
        (
            "SEEDBED_BROKER__URL",
            "amqp://me:hunter2@mq:5672/?k=hunter2",
        ),
        ("SEEDBED_POWERSYNC__ENDPOINT", "https://me:hunter2@ps"),
        ("SEEDBED_POWERSYNC__ENDPOINT", "ftp://me:hunter2@ps"),
        ("SEEDBED_POWERSYNC__ENDPOINT", "https://me:hunter2@ps:port"),
        ("SEEDBED_LOGIN__ISSUER", "https://me:hunter2@id"),
        ("SEEDBED_LOGIN__ISSUER", "https://me:hunter2@id:port"),
        ("SEEDBED_DOWNLOAD__JWKS_URL", "https://me:hunter2@id/keys"),
        (
            "SEEDBED_DOWNLOAD__JWKS_URL",
            "https://me:hunter2@id:port/keys",
        ),
        ("SEEDBED_SOURCE__URL", "mongodb://me:hunter2@db:x/app"),
        ("SEEDBED_SOURCE__URL", "mongodb://me:hun@hunter2@db/app"),
        ("SEEDBED_SOURCE__URL", "mongodb://me:hunter2@db"),
    ] {
        let error = refused(GOOD, &[(variable, value)]);
        let names = ["url ", "endpoint ", "issuer "];
        assert!(names.iter().any(|name| error.contains(name)), "{error}");
        assert!(error.contains(variable), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn what_makes_no_sense_is_named() {
    for (setting, value) in [
        ("powersync.endpoint", ""),
        ("powersync.endpoint", "powersync.example.com"),
        ("powersync.endpoint", "ftp://powersync.example.com"),
        ("powersync.idle_timeout", "soon"),
        ("powersync.compression", "brotli"),
        ("token.secret", ""),
        ("token.secret", "not base64url!"),
        ("token.key_file", "key.pem"),
        ("token.lifetime", "61m"),
        ("token.lifetime", "0s"),
        ("token.subject", "{{id"),
        ("worker.slots", "0"),
        ("worker.slots", "many"),
        ("worker.max_attempts", "0"),
        ("worker.backoff", "2h"),
        ("catalog.url", "mongodb://x"),
        ("catalog.url", "sqlite:"),
        ("snapshots.renditions", "brotli"),
        ("snapshots.renditions", "gzip,gzip"),
        ("snapshots.renditions", "compact/gzip"),
        ("snapshots.sealing_key", "0123"),
        ("snapshots.latest", "sometimes"),
        ("broker.url", "carrier-pigeon:"),
    ] {
        let variable = format!("SEEDBED_{}", setting.to_uppercase().replace('.', "__"));
        let error = refused(GOOD, &[(&variable, value)]);
        assert!(error.contains(setting), "{setting} = {value:?}: {error}");
    }
}

#[test]
fn key_and_secret_must_fit_the_algorithm() {
    let error = refused(GOOD, &[("SEEDBED_TOKEN__ALGORITHM", "ES256")]);
    assert!(
        error.contains("token.key_file") && error.contains("ES256"),
        "{error}"
    );
    let variables = [
        ("SEEDBED_TOKEN__ALGORITHM", "ES256"),
        ("SEEDBED_TOKEN__KEY_FILE", "key.pem"),
    ];
    let error = refused(GOOD, &variables);
    assert!(error.contains("token.secret"), "{error}");
}
