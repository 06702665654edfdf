//! Prepared databases that are of no use: they are dropped, and the job goes on without.

use std::{fs, net::SocketAddr, os::unix::fs::FileExt};

use rusqlite::Connection;
use serde_json::json;

use super::support::{Prepared, service_at};

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_altered_is_dropped_whatever_its_checksums_say() {
    let damages = [
        "row",
        "row, whole",
        "bit",
        "truncated",
        "missing",
        "no database",
    ];
    for damage in damages {
        let mut prepared = Prepared::start_with(|settings| {
            settings.verify.whole_every = u32::from(damage == "row, whole");
        })
        .await;
        prepared.seed("3").await;
        let file = prepared.files().pop().unwrap();
        match damage {
            // No checksum tells.
            "row" | "row, whole" => {
                let database = Connection::open(&file).unwrap();
                let id: String = database
                    .query_row(
                        "SELECT id FROM ps_data__products LIMIT 1 OFFSET 9",
                        [],
                        |row| row.get(0),
                    )
                    .unwrap();
                for (table, column) in [("ps_data__products", "id"), ("ps_oplog", "row_id")] {
                    let alter = format!(
                        "UPDATE {table} SET data = json_set(data, '$.name', 'forged') WHERE {column} = ?1"
                    );
                    assert_eq!(database.execute(&alter, [&id]).unwrap(), 1);
                }
            }
            "bit" => {
                let open = fs::File::options()
                    .read(true)
                    .write(true)
                    .open(&file)
                    .unwrap();
                let middle = open.metadata().unwrap().len() / 2;
                let mut byte = [0];
                open.read_exact_at(&mut byte, middle).unwrap();
                byte[0] ^= 1;
                open.write_all_at(&byte, middle).unwrap();
            }
            "truncated" => {
                let open = fs::File::options().write(true).open(&file).unwrap();
                open.set_len(open.metadata().unwrap().len() / 8192 * 4096)
                    .unwrap();
            }
            "missing" => fs::remove_file(&file).unwrap(),
            _ => fs::write(&file, "no database at all").unwrap(),
        }
        for store in ["4", "5"] {
            let manifest = prepared.seed_and_compare(store).await;
            assert!(!prepared.began_prepared(&manifest), "{damage}");
        }
        assert_eq!(prepared.files().len(), 0, "{damage}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_service_behind_the_same_url_is_found_out() {
    let mut prepared = Prepared::start().await;
    prepared.seed("3").await;
    assert_eq!(prepared.files().len(), 1);
    let endpoint = prepared.service.endpoint();
    let address: SocketAddr = endpoint.strip_prefix("http://").unwrap().parse().unwrap();
    // Other rows by the same ids of operations.
    let other = service_at(address_when_free(&mut prepared, address).await, 50).await;
    prepared.service = other;
    let manifest = prepared.seed_and_compare("4").await;
    assert!(!prepared.began_prepared(&manifest));
    assert_eq!(prepared.files().len(), 0);
}

/// Ends the service, so that another one can listen where it did.
async fn address_when_free(prepared: &mut Prepared, address: SocketAddr) -> SocketAddr {
    let elsewhere = service_at(SocketAddr::from(([127, 0, 0, 1], 0)), 1).await;
    std::mem::replace(&mut prepared.service, elsewhere)
        .shutdown()
        .await;
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn another_generation_and_a_compacted_bucket_make_it_stale() {
    let mut prepared = Prepared::start().await;
    prepared.seed("3").await;
    prepared.service.redeploy();
    let manifest = prepared.seed_and_compare("4").await;
    assert!(!prepared.began_prepared(&manifest));
    for store in ["5", "6"] {
        prepared.seed_and_compare(store).await;
    }
    // The last row is written again, and its first operation goes: it was the one that proved the entry.
    let manifest = prepared.seed_and_compare("7").await;
    assert!(prepared.began_prepared(&manifest));
    let shared: Vec<_> = prepared.service.rows("shared").collect();
    prepared.service.write(|rows| {
        for row in &shared {
            rows.put(
                "products",
                json!({ "id": row.id, "store_id": "shared", "name": "again" }),
            );
        }
    });
    prepared.service.compact();
    for store in ["8", "9"] {
        prepared.seed_and_compare(store).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_checksum_is_blamed_on_what_is_prepared_and_then_on_the_service() {
    let mut prepared = Prepared::start().await;
    prepared.seed("3").await;
    prepared
        .service
        .faults()
        .push(testkit::powersync::Fault::WrongChecksum);
    let manifest = prepared.seed_and_compare("4").await;
    assert!(!prepared.began_prepared(&manifest));
    assert_eq!(prepared.files().len(), 0);
}
