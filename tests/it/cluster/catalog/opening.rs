//! Opening a catalog: by many at once, of a newer version, and what stands in the way.

use futures::future::join_all;
use seedbed::catalog::{Catalog, CatalogError};
use testkit::servers::{GUARDED_USER, Postgres};

use super::fixture::{Fixture, REFUSE, list};

on_both!(a_catalog_of_a_newer_program_is_refused_and_stays_as_it_is);

async fn a_catalog_of_a_newer_program_is_refused_and_stays_as_it_is(fixture: Fixture) {
    let (run_id, _) = fixture.run(&["a"]).await;
    let future = "INSERT INTO _sqlx_migrations \
             (version, description, success, checksum, execution_time) \
         VALUES (9999, 'future', TRUE, '', 0)";
    fixture.execute(future).await;
    let error = Catalog::open(&fixture.url).await.unwrap_err();
    assert!(matches!(error, CatalogError::Newer { .. }), "{error}");
    assert!(error.to_string().contains("newer version"), "{error}");
    assert_eq!(fixture.run_state(run_id).await, "running");
}

/// Opens a new catalog eight times at once, and uses each.
async fn open_at_once(url: &str) {
    let opened = (0..8).map(|_| Catalog::open(url));
    for (index, opened) in join_all(opened).await.into_iter().enumerate() {
        let catalog = opened.unwrap();
        let id = format!("s{index}");
        assert_eq!(list(&catalog, &[&id], REFUSE).await.jobs, 1);
        catalog.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_file_is_opened_by_eight_at_once() {
    for _ in 0..5 {
        let directory = tempfile::tempdir().unwrap();
        open_at_once(&format!("sqlite:{}/c.db", directory.path().display())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_database_is_opened_by_eight_at_once() {
    let server = Postgres::shared();
    open_at_once(&server.database()).await;
}

#[tokio::test]
async fn a_path_that_no_url_could_hold_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("50% of #1?/catalog.db");
    let url = format!("sqlite:{}", file.display());
    Catalog::open(&url).await.unwrap().close().await;
    assert!(file.exists());
}

#[tokio::test]
async fn a_catalog_that_is_only_read_is_not_made() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/none.db", directory.path().display());
    let error = Catalog::open_existing(&url).await.unwrap_err().to_string();
    assert!(
        error.contains("none.db") && error.contains("seedbed local"),
        "{error}"
    );
    assert!(!directory.path().join("none.db").exists());
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("notes.txt");
    let text = "not a database, but long enough to be looked at".repeat(10);
    std::fs::write(&file, text).unwrap();
    let url = format!("sqlite:{}", file.display());
    let error = Catalog::open(&url).await.unwrap_err().to_string();
    assert!(
        error.contains("notes.txt") && error.contains("not a database"),
        "{error}"
    );
}

#[tokio::test]
async fn a_catalog_can_be_read_while_another_process_lists_a_run() {
    let fixture = Fixture::sqlite().await;
    let listing = fixture.catalog.list_run(REFUSE).await.unwrap();
    let reader = Catalog::open_existing(&fixture.url).await.unwrap();
    assert!(reader.runs(10).await.unwrap().is_empty());
    drop(listing);
}

/// Opens a catalog that cannot be opened; the error names the setting, and no secret.
async fn refused(url: &str) -> CatalogError {
    let error = Catalog::open(url).await.unwrap_err();
    for shown in [error.to_string(), format!("{error:?}")] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    assert!(error.to_string().contains("catalog.url"), "{error}");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_way_of_postgres_is_named_without_the_password() {
    let server = Postgres::shared();
    server.execute(&format!(
        "CREATE USER {GUARDED_USER} PASSWORD 'right-hunter2'"
    ));
    let database = server.database();
    let guarded = database.replace("postgres:unused@", &format!("{GUARDED_USER}:hunter2@"));

    let error = refused(&guarded).await;
    assert!(
        error.to_string().contains("check user and password"),
        "{error}"
    );
    assert!(!error.is_transient());

    let right = guarded.replace(":hunter2@", ":right-hunter2@");
    let error = refused(&right).await;
    assert!(
        error.to_string().contains("right to create tables"),
        "{error}"
    );
    assert!(!error.is_transient());

    let error = refused(&format!(
        "{}_missing",
        database.replace("unused", "hunter2")
    ))
    .await;
    assert!(
        error.to_string().contains("create the database first"),
        "{error}"
    );
    assert!(!error.is_transient());

    // Nobody listens on port 1.
    let error = refused("postgres://me:hunter2@127.0.0.1:1/catalog").await;
    assert!(error.is_transient());
}
