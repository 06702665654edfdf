//! Entries that somebody altered, and those of another service, are dropped.

use std::net::SocketAddr;

use seedbed_protocol::{
    digest::sha256_hex,
    manifest::Encoding,
    settings::Secret,
    snapshots::{unwrap, wrap},
};
use serde_json::json;
use testkit::{pipeline::same_rows, powersync::PowerSync};
use tokio::io::AsyncReadExt;

use super::support::{Fleet, OWN, SHARED, WHOLE, config, file, service, service_at};

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_was_altered_is_dropped_whatever_its_checksums_say() {
    let service = service(2, 1).await;
    let fleet = Fleet::new();
    for damage in ["data", "lines", "truncated", "missing", "entry", "secret"] {
        for file in fleet.files("") {
            std::fs::remove_file(file).unwrap();
        }
        fleet.fill(&service).await;
        let lines = fleet.lines();
        let whole = std::fs::read(&lines).unwrap();
        match damage {
            "data" => forge(&fleet).await,
            "lines" => {
                let mut altered = whole;
                let middle = altered.len() / 2;
                altered[middle] ^= 1;
                std::fs::write(&lines, altered).unwrap();
            }
            "truncated" => std::fs::write(&lines, &whole[..whole.len() / 2]).unwrap(),
            "missing" => std::fs::remove_file(&lines).unwrap(),
            "entry" => std::fs::write(fleet.entry(), "{").unwrap(),
            _ => {
                let mut other = fleet
                    .worker_with(&service, |settings| {
                        let secret = "another secret of other workers, of 32 bytes";
                        settings.buckets.secret = Some(Secret::new(secret));
                    })
                    .await;
                let manifest = other.seed("2").await.unwrap();
                assert_eq!(manifest.download.operations, WHOLE, "{damage}");
                same_rows(&service, "2", &file(&fleet, &manifest));
                continue;
            }
        }
        assert_eq!(fleet.seed_anew(&service, "2").await, WHOLE, "{damage}");
    }
}

/// Alters the text of a row, and every digest that can be made without the secret. PowerSync's checksums travel with the
/// operations and stay.
async fn forge(fleet: &Fleet) {
    let lines = fleet.lines();
    let stored = std::io::Cursor::new(std::fs::read(&lines).unwrap());
    let mut plain = Vec::new();
    unwrap(Encoding::Zstd, stored)
        .read_to_end(&mut plain)
        .await
        .unwrap();
    // As long as before: lines begin with their length.
    let name = br#""name":""#;
    let place = plain.windows(name.len()).position(|part| part == name);
    let letter = &mut plain[place.unwrap() + name.len()];
    *letter = if *letter == b'X' { b'Y' } else { b'X' };
    let altered = plain;
    let mut object = Vec::new();
    let wrapped = std::io::Cursor::new(altered.clone());
    wrap(Encoding::Zstd, wrapped)
        .read_to_end(&mut object)
        .await
        .unwrap();
    std::fs::write(&lines, &object).unwrap();
    let mut entry = fleet.read_entry();
    entry["content"] = json!({ "bytes": altered.len(), "sha256": sha256_hex(&altered) });
    entry["stored"]["object"] = json!({ "bytes": object.len(), "sha256": sha256_hex(&object) });
    std::fs::write(fleet.entry(), entry.to_string()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_service_behind_the_same_url_is_found_out() {
    let service = service(2, 1).await;
    let address: SocketAddr = service
        .endpoint()
        .strip_prefix("http://")
        .unwrap()
        .parse()
        .unwrap();
    let fleet = Fleet::new();
    fleet.fill(&service).await;
    service.shutdown().await;
    // The same rows by other ids, as after a new replication: every checksum is the same.
    let builder = PowerSync::builder().config(config()).listen(address);
    let anew = builder.start().await.unwrap();
    for store in ["1", "2"] {
        anew.add_generated_store(store, OWN, 1 + store.parse::<u64>().unwrap());
    }
    anew.add_generated_store("shared", SHARED, 1);
    assert_eq!(fleet.seed_anew(&anew, "2").await, WHOLE);
    anew.shutdown().await;
    // Other rows by the same ids.
    let other = service_at(address, 2, 50).await;
    assert_eq!(fleet.seed_anew(&other, "1").await, WHOLE);
}
