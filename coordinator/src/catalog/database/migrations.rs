//! The catalog's migrations, compiled in. Listed by hand: `sqlx::migrate!` would compile all of sqlx, its databases
//! and TLS a second time, for the macro.

use std::sync::LazyLock;

use sqlx::{
    SqlStr,
    migrate::{Migration, MigrationType, Migrator},
};

/// All migrations, oldest first.
pub(super) static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let migrations = FILES.iter().map(|(name, sql)| migration(name, sql));
    let mut migrator = Migrator::with_migrations(migrations.collect());
    // Its lock would be a session's, which PgBouncer does not keep: whoever migrates takes one that it does.
    migrator.set_locking(false);
    migrator
});

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../migrations/", $name, ".sql")))),*]
    };
}

/// The names in `coordinator/migrations`, without their ending, and what is in them.
static FILES: &[(&str, &str)] = files![
    "0001_runs_jobs_snapshots",
    "0002_schedule",
    "0003_browsing",
    "0010_run_traces",
    "0011_reuse",
    "0020_workers",
    "0030_run_ends_and_quarantine",
    "0040_claims_secrets",
    "0041_listed_jobs",
    "0050_generations",
    "0060_lost_jobs",
    "0070_reports",
    "0071_sizes",
    "0080_turns_and_rows",
    "0100_audit",
    "0101_withdrawal",
    "0102_forgotten",
    "0103_notices",
    "0110_api_tokens",
    "0120_reasons",
    "0150_step_times",
    "0151_freshness",
    "0160_sessions",
    "0170_held_by",
];

/// A migration from a file name of sqlx's form, `<version>_<description>`.
fn migration(name: &str, sql: &'static str) -> Migration {
    let (version, description) = name.split_once('_').expect("VERSION_DESCRIPTION");
    Migration::new(
        version.parse().expect("the version is a number"),
        description.replace('_', " ").into(),
        MigrationType::Simple,
        SqlStr::from_static(sql),
        false,
    )
}

#[cfg(test)]
mod tests {
    use seedbed_protocol::digest::hex;

    use super::*;

    #[test]
    fn every_file_of_the_migrations_folder_is_compiled_in() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let known: Vec<_> = FILES
            .iter()
            .map(|(name, _)| format!("{name}.sql"))
            .collect();
        assert_eq!(files, known);
    }

    #[test]
    fn migrations_have_the_version_and_checksum_that_catalogs_recorded() {
        let first = MIGRATIONS.iter().next().unwrap();
        assert_eq!(first.version, 1);
        assert_eq!(first.description, "runs jobs snapshots");
        assert_eq!(
            hex(&first.checksum),
            "93a6a3c58f8b1688fdc934fcc08bd5a6c2c3732aef0ba87e168caef290ac968f88138581d9eaa400e4f79636e7b4a1f1"
        );
    }
}
