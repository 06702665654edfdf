//! `tests/bench/compare/compare.sh`: what it refuses, and what it makes of the figures of two revisions.

use std::{fmt::Write as _, path::Path, process::Command};

/// The exit code and what was printed, to standard output and to standard error.
fn run(program: &str, arguments: &[String]) -> (Option<i32>, String, String) {
    let mut command = Command::new(program);
    let output = command.args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, error) = (text(output.stdout), text(output.stderr));
    (output.status.code(), out, error)
}

fn bench(file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench");
    folder.join(file).display().to_string()
}

#[test]
fn what_cannot_be_compared_is_refused_before_anything_is_built() {
    let script = bench("compare/compare.sh");
    for (arguments, message) in [
        (&[][..], "usage"),
        (&["HEAD"], "usage"),
        (&["HEAD", "seed", "none"], "usage"),
        (&["no-such-revision", "seed"], "is no revision"),
        (&["HEAD", "no-such-bench"], "is no benchmark"),
    ] {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let (code, _, error) = run(&script, &arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {error}");
        assert!(error.contains(message), "{arguments:?}: {error}");
    }
}

#[test]
fn figures_of_two_revisions_are_compared_by_median_and_spread() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: String, lines: [(&str, u32, f64, u32); 2]| {
        let mut text = "2 cores of a machine\n\n".to_owned();
        writeln!(
            text,
            "{:>9} {:>8} {:>9} {:>11}",
            "catalog", "stores", "publish s", "p99 ms pub."
        )
        .unwrap();
        for (catalog, stores, publish, slowest) in lines {
            writeln!(
                text,
                "{catalog:>9} {stores:>8} {publish:>9.2} {slowest:>11}"
            )
            .unwrap();
        }
        let file = directory.path().join(name);
        std::fs::write(&file, text).unwrap();
        file.display().to_string()
    };
    let mut arguments = vec![bench("compare/compare.py")];
    for (run, publish) in [4.0, 2.0, 9.0].into_iter().enumerate() {
        let lines = [
            ("postgres", 1000, publish, 10),
            ("sqlite", 5, 1.0, 2000 + run as u32),
        ];
        arguments.push(write(format!("before.{run}"), lines));
    }
    arguments.push("--".to_owned());
    for (run, publish) in [2.0, 3.0, 1.0].into_iter().enumerate() {
        let lines = [
            ("postgres", 1000, publish, 10),
            ("sqlite", 5, 1.0, 1000 + run as u32),
        ];
        arguments.push(write(format!("after.{run}"), lines));
    }
    let (code, table, error) = run("python3", &arguments);
    assert_eq!(code, Some(0), "{error}");
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = table.lines().map(words).collect();
    assert_eq!(
        lines,
        [
            "LINE FIGURE BEFORE SPREAD AFTER SPREAD RATIO",
            "postgres 1000 10 publish s 4 2 to 9 2 1 to 3 0.50",
            "sqlite 5 1.00 p99 ms pub. 2,001 2,000 to 2,002 1,001 1,000 to 1,002 0.50 apart",
        ]
    );
    let (code, _, usage) = run("python3", &arguments[..3]);
    assert!(code != Some(0) && usage.contains("usage"), "{usage}");
}
