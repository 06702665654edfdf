//! Disks that are full or read-only.

use testkit::{machine::Tmpfs, program::Program};

use super::support::{LOCAL, service_with};

/// The data of `program` on a file system of its own.
fn data_on_tmpfs(program: &mut Program, options: &str) -> Option<Tmpfs> {
    let disk = Tmpfs::mount(options)?;
    let below = |name: &str| disk.path().join(name).display().to_string();
    program.set("CATALOG__URL", format!("sqlite:{}", below("catalog.db")));
    program.set("SNAPSHOTS__URL", format!("file:{}", below("snapshots")));
    program.set("WORKER__DIRECTORY", below("work"));
    Some(disk)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_disk_is_named() {
    let (_service, mut program) = service_with(&["1"], 100).await;
    let Some(disk) = data_on_tmpfs(&mut program, "size=20m") else {
        return;
    };
    for seeded_before in [false, true] {
        if seeded_before {
            disk.remount("rw");
            let ended = program.run(&LOCAL).await;
            assert_eq!(ended.code, Some(0), "{ended}");
        }
        disk.remount("ro");
        let ended = program.run(&LOCAL).await;
        assert!(matches!(ended.code, Some(1 | 2)), "{ended}");
        let path = disk.path().display().to_string();
        assert!(
            ended.error.contains("\"type\":\"error\"") && ended.error.contains(&path),
            "{ended}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_named_and_a_run_with_room_again_succeeds() {
    let (_service, mut program) = service_with(&["1", "2"], 3_000).await;
    let Some(disk) = data_on_tmpfs(&mut program, "size=20m") else {
        return;
    };
    let path = disk.path().display().to_string();
    let filler = disk.path().join("filler");
    // No room for anything; for the catalog and the list, but not for a store.
    for (free, named, code) in [
        (0, path.as_str(), 3),
        (1_500_000, "worker.directory is full", 1),
    ] {
        std::fs::write(&filler, vec![0; 20 * 1024 * 1024 - free]).unwrap();
        let ended = program.run(&LOCAL).await;
        assert_eq!(ended.code, Some(code), "{free}: {ended}");
        assert!(ended.error.contains(named), "{free}: {ended}");
        std::fs::remove_file(&filler).unwrap();
    }
    let ended = program.run(&LOCAL).await;
    assert_eq!(ended.code, Some(0), "{ended}");
}
