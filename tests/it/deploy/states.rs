//! The tables of states in `deploy/OPERATIONS.md` have a row for each state and each alert.

use std::{fs, path::Path};

use seedbed::catalog::{JobState, RunState, SnapshotState};
use seedbed_protocol::broker::Trouble;

const COLUMNS: &str = "| what you see | what happens by itself | what you can do |";

#[test]
fn each_state_and_each_alert_has_a_row_that_says_what_happens_and_what_to_do() {
    let page = page("OPERATIONS.md");
    let rows = rows_of_states(&page);
    for named in states().into_iter().chain(alerts()) {
        let row = rows.iter().find(|row| names(row[0], &named));
        assert!(
            row.is_some(),
            "{}: add a row to a table of states in deploy/OPERATIONS.md",
            named.join(" ")
        );
    }
    for [seen, heals, helps] in rows {
        for cell in [seen, heals, helps] {
            assert!(!cell.is_empty(), "{seen}: a cell is empty; write `nothing`");
        }
        let nothing_heals = heals.starts_with("nothing:") || heals == "nothing";
        assert!(
            !(nothing_heals && helps == "nothing"),
            "{seen}: nothing heals it, so what can a person do?"
        );
    }
}

/// What has the state, and the state's name.
fn states() -> Vec<[String; 2]> {
    fn of(kind: &str, name: &str) -> [String; 2] {
        [kind.to_owned(), name.to_owned()]
    }
    let runs = RunState::ALL.iter().map(|state| of("run", state.name()));
    let jobs = JobState::ALL.iter().map(|state| of("job", state.name()));
    let snapshots = SnapshotState::ALL
        .iter()
        .map(|state| of("snapshot", state.name()));
    let stores = ["without_snapshot", "quarantined", "retired"];
    let stores = stores.iter().map(|state| of("store", state));
    let broker = Trouble::NAMES.iter().map(|name| of("broker", name));
    runs.chain(jobs)
        .chain(snapshots)
        .chain(stores)
        .chain(broker)
        .collect()
}

fn alerts() -> Vec<[String; 2]> {
    let rules = page("monitoring/alerts.yaml");
    let alerts = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let alerts: Vec<_> = alerts
        .map(|alert| ["alert".to_owned(), alert.to_owned()])
        .collect();
    assert!(alerts.len() > 10, "are the alerts written in another way?");
    alerts
}

/// Whether what is seen, as in "run `failed`" or "job `completed`, `unchanged`", is this.
fn names(seen: &str, [kind, name]: &[String; 2]) -> bool {
    let mut subject = "";
    for part in seen.split([';', ',']) {
        let mut pieces = part.split('`');
        let before = pieces.next().unwrap_or_default().trim();
        if !before.is_empty() {
            subject = before;
        }
        if subject == kind && pieces.next() == Some(name) {
            return true;
        }
    }
    false
}

/// The cells of each row of the tables with these columns.
fn rows_of_states(page: &str) -> Vec<[&str; 3]> {
    let tables = page.split(COLUMNS).skip(1);
    let rows =
        tables.flat_map(|table| table.lines().skip(2).take_while(|row| row.starts_with('|')));
    rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let cells = cells.try_into();
        cells.unwrap_or_else(|_| panic!("three cells, with ` | ` in none: {row}"))
    })
    .collect()
}

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../deploy")
        .join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
