//! What needs a look inside; the contract itself is tested from outside, on both databases.

use super::*;

#[tokio::test]
async fn a_full_disk_is_told_from_what_somebody_has_to_change() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/catalog.db", directory.path().display());
    let catalog = Catalog::open(&url).await.unwrap();
    let full = "CREATE TABLE big (x); PRAGMA max_page_count = 1; INSERT INTO big VALUES (zeroblob(9999999))";
    let full = sqlx::raw_sql(full).execute(&catalog.pool).await;
    assert!(CatalogError::from(full.unwrap_err()).is_transient());
    let missing = sqlx::raw_sql("SELECT * FROM nowhere");
    let missing = missing.execute(&catalog.pool).await;
    assert!(!CatalogError::from(missing.unwrap_err()).is_transient());
}
