//! The program `seedbed` as a shell sees it: what it prints, and its exit codes.

mod settings;

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

/// `seedbed` in an empty directory, with an endpoint where nothing listens, and a secret.
struct Seedbed {
    directory: TempDir,
}

impl Seedbed {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let seedbed = Self { directory };
        seedbed.write(
            "seedbed.toml",
            "[powersync]\nendpoint = \"http://127.0.0.1:9\"\n[token]\nsecret = \"c2VjcmV0\"\n\
             [worker]\nmax_attempts = 1\n",
        );
        seedbed
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).unwrap();
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seedbed"));
        command
            .args(arguments)
            .current_dir(&self.directory)
            .stdin(Stdio::null());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SEEDBED_")) {
            command.env_remove(name);
        }
        // There is no service, and nobody waits for it here.
        command.env("SEEDBED_POWERSYNC__GIVE_UP_AFTER", "1s");
        command
    }

    /// The exit code, and what was printed to standard output and standard error.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        shown(self.command(arguments).output().unwrap())
    }
}

fn shown(output: Output) -> (i32, String, String) {
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

/// Whether nothing but the settings file is there.
fn is_untouched(directory: &Path) -> bool {
    std::fs::read_dir(directory).unwrap().count() == 1
}

#[test]
fn wrong_usage_and_wrong_settings_exit_with_2_and_start_nothing() {
    let seedbed = Seedbed::new();
    for (arguments, reason) in [
        (&["local", "--slots", "0"][..], "--slots"),
        (&["local", "--stores-format", "csv"], "--stores"),
        (&["explode"], "explode"),
        (&["local", "--config", "missing.toml"], "missing.toml"),
        (&["local"], "--stores FILE"),
        (&["local", "--stores", "missing.csv"], "missing.csv"),
        (&["local", "--stores", "stores.txt"], "--stores-format"),
        (&["local", "--stores", "-", "--serve"], "--serve"),
        (&["snapshots", "--store", "../../x"], "../../x"),
        (&["verify", "."], ". is no regular file"),
        (&["verify", ""], "there is no file \"\""),
        (&["verify", "/nonexist/x.sqlite"], "/nonexist/x.sqlite"),
        (&["local", "--stores", ""], "--stores"),
        (
            &[
                "tokens",
                "create",
                "a",
                "--role",
                "viewer",
                "--expires",
                "99999999d",
            ],
            "36500d",
        ),
        (&["delivery", "off", "--share", "5%"], "--share"),
    ] {
        let (code, _, error) = seedbed.run(arguments);
        assert_eq!(code, 2, "{arguments:?}: {error}");
        assert!(error.contains(reason), "{arguments:?}: {error}");
        assert_eq!(error.matches("error: ").count(), 1, "{error}");
    }
}

#[test]
fn wrong_usage_is_told_to_machines_as_json() {
    let seedbed = Seedbed::new();
    for arguments in [
        &["--json", "bogus"][..],
        &["gc", "--json", "--no-such-option"],
        &["snapshots", "--json", "--store"],
    ] {
        let (code, output, error) = seedbed.run(arguments);
        assert_eq!((code, output.as_str()), (2, ""), "{error}");
        let error: serde_json::Value = serde_json::from_str(&error).unwrap();
        assert_eq!(
            (&error["type"], &error["exit_code"]),
            (&"error".into(), &2.into())
        );
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains(arguments[arguments.len() - 1]),
            "{message}"
        );
    }
    let (code, output, error) = seedbed.run(&["--json", "--version"]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(output.starts_with("seedbed "), "{output}");
}

#[test]
fn a_wrong_list_of_stores_exits_with_2_and_leaves_no_run() {
    let seedbed = Seedbed::new();
    for (list, reason) in [
        ("", "no stores"),
        ("store_id\n", "no stores"),
        ("store_id\n1\n2\n1\n", "at 2 and at 4"),
        ("store_id\n1\nCON\n", "line 3"),
        ("id\n1\n", "\"store_id\""),
    ] {
        seedbed.write("stores.csv", list);
        let (code, _, error) = seedbed.run(&["local", "--stores", "stores.csv"]);
        assert_eq!(code, 2, "{list:?}: {error}");
        assert!(error.contains(reason), "{list:?}: {error}");
    }
    let mut command = seedbed.command(&["local", "--stores", "stores.csv"]);
    command.env("SEEDBED_PARAMETERS__REGION", "{{region}}");
    seedbed.write("stores.csv", "store_id,name\n1,x\n");
    let (code, _, error) = shown(command.output().unwrap());
    assert_eq!(code, 2, "{error}");
    assert!(
        error.contains("\"region\"") && error.contains("\"name\""),
        "{error}"
    );

    let (code, output, _) = seedbed.run(&["status"]);
    assert_eq!(code, 0);
    assert!(output.contains("no runs yet"), "{output}");
}

#[test]
fn stores_that_fail_exit_with_1_and_are_named() {
    let seedbed = Seedbed::new();
    seedbed.write("stores.ndjson", "{\"store_id\": \"berlin\"}\n");
    let (code, output, error) = seedbed.run(&["local", "--stores", "stores.ndjson"]);
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("berlin"), "{error}");
    assert!(output.contains("FAILED"), "{output}");
    let (code, output, _) = seedbed.run(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!(code, 0);
    assert_eq!(status["runs"][0]["state"], "failed");
    assert_eq!(status["failures"][0]["store_id"], "berlin");
}

#[test]
fn commands_that_only_read_make_no_catalog() {
    let seedbed = Seedbed::new();
    for arguments in [&["status"][..], &["snapshots"], &["verify", "7"]] {
        let (code, _, error) = seedbed.run(arguments);
        assert_eq!(code, 3, "{error}");
        assert!(error.contains("seedbed local"), "{error}");
    }
    assert!(
        is_untouched(seedbed.directory.path()),
        "something was created"
    );
}

#[test]
fn a_store_that_was_never_listed_exits_with_2_and_is_named_with_others() {
    let seedbed = Seedbed::new();
    seedbed.write("stores.ndjson", "{\"store_id\": \"berlin\"}\n");
    seedbed.run(&["local", "--stores", "stores.ndjson"]);
    for arguments in [
        &["snapshots", "--store", "nosuch"][..],
        &["verify", "nosuch"],
    ] {
        let (code, output, error) = seedbed.run(arguments);
        assert_eq!((code, output.as_str()), (2, ""), "{error}");
        assert!(
            error.contains("\"nosuch\"") && error.contains("\"berlin\""),
            "{error}"
        );
    }
    let (code, output, error) = seedbed.run(&["snapshots", "--store", "berlin"]);
    assert_eq!(code, 0, "{error}");
    assert!(output.contains("no snapshots yet"), "{output}");
}

#[test]
fn a_check_says_what_is_wrong_and_leaves_nothing_behind() {
    let seedbed = Seedbed::new();
    let mut command = seedbed.command(&["check", "--json"]);
    // A list in another directory, so that anything new here is a leftover.
    let lists = tempfile::tempdir().unwrap();
    let list = lists.path().join("stores.csv");
    std::fs::write(&list, "store_id\n1\n").unwrap();
    command.arg("--stores").arg(&list);
    let (code, output, _) = shown(command.output().unwrap());
    let report: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!((code, &report["ok"]), (1, &false.into()));
    let parts = report["parts"].as_array().unwrap();
    let failed: Vec<_> = parts.iter().filter(|part| part["ok"] == false).collect();
    assert_eq!(failed.len(), 1, "{output}");
    assert_eq!(failed[0]["part"], "powersync");
    assert!(
        is_untouched(seedbed.directory.path()),
        "something was left behind"
    );
}

#[test]
fn a_check_finds_a_store_that_a_file_lists_twice() {
    let seedbed = Seedbed::new();
    seedbed.write("stores.csv", "store_id\n1\n2\n1\n");
    let (code, output, error) = seedbed.run(&["check", "--stores", "stores.csv"]);
    assert_eq!(code, 1, "{error}");
    let said = "stores.csv: the store 1 is listed twice, at 2 and at 4";
    assert!(output.contains(said), "{output}");
}

#[test]
fn a_share_that_is_set_while_everything_is_off_is_said() {
    let seedbed = Seedbed::new();
    seedbed.write("stores.csv", "store_id\n1\n");
    seedbed.run(&["local", "--stores", "stores.csv"]);
    let (code, _, error) = seedbed.run(&["delivery", "off"]);
    assert_eq!(code, 0, "{error}");
    let (code, output, error) =
        seedbed.run(&["delivery", "on", "--share", "5%", "--form", "compact"]);
    assert_eq!(code, 0, "{error}");
    for said in ["handed out again: compact: 5% of the stores", "off since "] {
        assert!(output.contains(said), "{output}");
    }
}

#[test]
fn every_command_shows_an_example() {
    let seedbed = Seedbed::new();
    for command in [
        "local",
        "status",
        "snapshots",
        "verify",
        "check",
        "config",
        "init",
        "schema",
    ] {
        let (code, help, _) = seedbed.run(&[command, "--help"]);
        assert_eq!(code, 0);
        assert!(help.contains("Example"), "{help}");
    }
}

#[test]
fn man_pages_and_completions_are_of_both_programs() {
    let seedbed = Seedbed::new();
    let (code, said, error) = seedbed.run(&["man", "pages/man1"]);
    assert_eq!(code, 0, "{error}");
    assert!(said.contains("man pages to pages/man1"), "{said}");
    for (page, text) in [
        ("seedbed", "rebuild"),
        ("seedbed-run", "only"),
        ("seedbed-tokens-create", "role"),
        ("seedbed-worker", "slots"),
    ] {
        let page = std::fs::read_to_string(seedbed.path(&format!("pages/man1/{page}.1"))).unwrap();
        assert!(page.contains(".TH ") && page.contains(text), "{page}");
    }
    for (arguments, text) in [
        (&["completions", "bash"][..], "complete -F _seedbed"),
        (
            &["completions", "bash", "seedbed-worker"],
            "complete -F _seedbed__worker",
        ),
        (
            &["completions", "fish", "seedbed-worker"],
            "complete -c seedbed-worker",
        ),
    ] {
        let (code, script, _) = seedbed.run(arguments);
        assert!(
            code == 0 && script.contains(text),
            "{arguments:?}: {script}"
        );
    }
    let (code, _, error) = seedbed.run(&["man", "/proc/nothing"]);
    assert!(code == 2 && error.contains("/proc/nothing"), "{error}");
}
