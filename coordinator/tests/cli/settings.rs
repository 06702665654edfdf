//! What commands say of settings: those that are wrong, and those that `init`, `config` and `schema` write.

use super::{Seedbed, is_untouched, shown};

#[test]
fn a_misspelt_setting_exits_with_2_and_names_the_variable() {
    let seedbed = Seedbed::new();
    let mut command = seedbed.command(&["status"]);
    command.env("SEEDBED_WORKER__SLOT", "3");
    let (code, _, error) = shown(command.output().unwrap());
    assert_eq!(code, 2);
    assert!(
        error.contains("SEEDBED_WORKER__SLOT;")
            && error.contains("did you mean SEEDBED_WORKER__SLOTS?"),
        "{error}"
    );
    assert!(
        is_untouched(seedbed.directory.path()),
        "something was created"
    );
}

#[test]
fn a_wrong_value_exits_with_2_whatever_the_command_and_is_named_with_its_source() {
    let seedbed = Seedbed::new();
    let settings = "[powersync]\nendpoint = \"http://127.0.0.1:1\"\n\n[worker]\nslots = 0\n";
    seedbed.write("wrong.toml", settings);
    for command in [
        "status",
        "snapshots",
        "gc",
        "local",
        "check",
        "serve",
        "config",
    ] {
        let mut asked = seedbed.command(&[command, "--json", "--config", "wrong.toml"]);
        let (code, _, error) = shown(asked.output().unwrap());
        assert_eq!(code, 2, "{command}: {error}");
        let said = "worker.slots is 0; with no slot, no job would ever start (set to 0 in wrong.toml, line 5)";
        assert!(error.contains(said), "{command}: {error}");
        for (variable, value, said) in [
            (
                "SEEDBED_LOG__LEVEL",
                "loud",
                "log.level = \\\"loud\\\" in the environment variable SEEDBED_LOG__LEVEL: ",
            ),
            (
                "SEEDBED_TOKEN__SECRET",
                "-1",
                "(set in the environment variable SEEDBED_TOKEN__SECRET)",
            ),
            (
                "SEEDBED_DOWNLOAD__SECRET",
                "-1",
                "(set in the environment variable SEEDBED_DOWNLOAD__SECRET)",
            ),
            (
                "SEEDBED_POWERSYNC__ENDPOINT",
                "https://u:hunter2@h",
                "in the environment variable SEEDBED_POWERSYNC__ENDPOINT)",
            ),
            (
                "SEEDBED_SOURCE__URL",
                "postgres://u:hunter2@h:abc/x",
                "(set in the environment variable SEEDBED_SOURCE__URL)",
            ),
            (
                "SEEDBED_CATALOG__URL",
                "postgres://u:hunter2@h:abc/x",
                "(set in the environment variable SEEDBED_CATALOG__URL)",
            ),
            (
                "SEEDBED_SYNC__QUARANTINE_MAX_PAUSE",
                "1s",
                "quarantine_pause",
            ),
            (
                "SEEDBED_DOWNLOAD__SERVICE_ENDPOINT",
                "https://u:hunter2@h",
                "download.service_endpoint has a user name",
            ),
        ] {
            let mut asked = seedbed.command(&[command, "--json"]);
            asked.env(variable, value);
            let (code, output, error) = shown(asked.output().unwrap());
            assert_eq!(code, 2, "{command}, {variable}: {error}");
            assert!(error.contains(said), "{command}, {variable}: {error}");
            assert!(
                !(output + &error).contains("hunter2"),
                "{command}, {variable}"
            );
        }
    }
}

#[test]
fn the_printed_settings_are_a_settings_file() {
    let seedbed = Seedbed::new();
    let (code, settings, _) = seedbed.run(&["config"]);
    assert_eq!(code, 0);
    seedbed.write("seedbed.toml", &settings);
    let (_, _, error) = seedbed.run(&["local", "--stores", "-"]);
    assert!(error.contains("powersync.endpoint is missing"), "{error}");
}

#[test]
fn init_writes_settings_that_work_and_replaces_none() {
    let seedbed = Seedbed::new();
    let arguments = [
        "init",
        "--config",
        "new.toml",
        "--endpoint",
        "http://127.0.0.1:1",
        "--source",
        "postgres://reader@db/app",
        "--query",
        "SELECT id AS \"store_id\" FROM stores",
        "--kid",
        "seedbed",
    ];
    let (code, output, error) = seedbed.run(&arguments);
    assert_eq!(code, 0, "{error}");
    for said in [
        "wrote new.toml",
        "SEEDBED_TOKEN__SECRET",
        "seedbed check --config new.toml",
    ] {
        assert!(output.contains(said), "{output}");
    }
    let (code, settings, error) = seedbed.run(&["config", "--json", "--config", "new.toml"]);
    assert_eq!(code, 0, "{error}");
    for said in [
        "http://127.0.0.1:1",
        "postgres://db/app",
        "SELECT id AS",
        "new.toml, line ",
    ] {
        assert!(settings.contains(said), "{settings}");
    }
    let (code, _, error) = seedbed.run(&arguments);
    assert_eq!(code, 2, "{error}");
    assert!(
        error.contains("new.toml exists") && error.contains("--force"),
        "{error}"
    );
    for (option, value, said) in [
        (
            "--source",
            "postgres://me:hunter2@db/app",
            "SEEDBED_SOURCE__URL",
        ),
        ("--endpoint", "nowhere", "powersync.endpoint"),
        ("--algorithm", "HS1024", "in other.toml, line "),
    ] {
        let (code, _, error) = seedbed.run(&["init", "--config", "other.toml", option, value]);
        assert_eq!(code, 2, "{error}");
        assert!(
            error.contains(said) && !error.contains("hunter2"),
            "{error}"
        );
        assert!(!seedbed.path("other.toml").exists(), "{option}");
    }
}

#[test]
fn the_schema_names_every_setting() {
    let seedbed = Seedbed::new();
    let (code, schema, _) = seedbed.run(&["schema"]);
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    assert_eq!(code, 0);
    let format = &schema["properties"]["powersync"]["properties"]["format"];
    assert_eq!(format["enum"], serde_json::json!(["auto", "ndjson"]));
    for setting in seedbed_protocol::settings::known() {
        let section = &schema["properties"][setting.section];
        let section = section.get("items").unwrap_or(section);
        assert!(
            section["properties"][setting.name].is_object(),
            "{setting:?}"
        );
    }
}
