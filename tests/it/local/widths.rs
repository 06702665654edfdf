//! Every table fits whatever it is shown on, as that of `seedbed status` does.

use super::status::{in_a_terminal, service, too_wide};

/// A table's command, what it keeps at 60 columns, and what goes first.
const TABLES: [(&[&str], &[&str], &str); 5] = [
    (&["snapshots"], &["STORE", "MADE", "ROWS"], "FILE"),
    (
        &["snapshots", "--all"],
        &["STORE", "MADE", "ROWS"],
        "LAST OP",
    ),
    (&["audit"], &["WHEN", "WHO", "WHAT"], "FROM"),
    (&["tokens", "list"], &["NAME", "ROLE"], "MADE BY"),
    (
        &["plan", "--stores", "3000", "--rows", "20000"],
        &["PowerSync: CPU", "EACH LATER ONE", "COST", "This rests on:"],
        "2.0 of each store",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_table_keeps_what_matters_where_there_is_little_room() {
    let (_service, mut program) = service(3, &["store-2"]).await;
    let local = ["local", "--stores", "stores.csv"];
    assert_eq!(program.run(&local).await.code, Some(1));
    let name = "a-person-with-a-long-name-at-the-company";
    let create = ["tokens", "create", name, "--role", "viewer"];
    let created = program.run(&create).await;
    assert_eq!(created.code, Some(0), "{created}");
    for (arguments, kept, dropped) in TABLES {
        for width in [200, 80, 60, 40] {
            program.set_variable("COLUMNS", width.to_string());
            let shown = program.run(arguments).await;
            assert_eq!(shown.code, Some(0), "{shown}");
            let shown = shown.output;
            assert_eq!(too_wide(&shown, width), [""; 0], "{shown}");
            if width >= 60 {
                for name in kept {
                    assert!(shown.contains(name), "{name} at {width}: {shown}");
                }
            }
            if width == 200 || width == 40 {
                assert_eq!(shown.contains(dropped), width == 200, "{width}: {shown}");
            }
        }
    }
    // Machines get everything at any width.
    let snapshots = program.run(&["snapshots", "--json"]).await.objects();
    for field in ["renditions", "checkpoint", "created_at"] {
        assert!(!snapshots[0][field].is_null(), "{snapshots:?}");
    }
    let tokens = program.run(&["tokens", "list", "--json"]).await.objects();
    assert_eq!(tokens[0]["name"], name);
    assert!(tokens[0]["madeBy"].is_string(), "{tokens:?}");
    for width in [80, 60] {
        let shown = in_a_terminal(&program, width, "timeline");
        assert!(
            shown.contains("SLOWEST") && shown.contains("store-1"),
            "{shown}"
        );
        assert_eq!(too_wide(&shown, width), [""; 0], "{shown}");
    }
}
