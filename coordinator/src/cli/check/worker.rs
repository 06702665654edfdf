//! Checks what only workers need: room for their files, and tokens that last long enough.

use std::{fs, path::Path, time::Duration};

use indicatif::HumanBytes;
use seedbed_worker::seed::available_space;

use super::report::Checked;
use crate::settings::Settings;

/// What a job's files may take of its largest snapshot's size, in tenths: see `worker.directory`.
const TENTHS_OF_LARGEST: u64 = 25;

/// What has to be free whatever is known of the stores.
const LEAST: u64 = 64 << 20;

/// Returns why the work directory cannot be made or written to here, if so.
pub(super) fn unusable(directory: &Path) -> Option<String> {
    let made = fs::create_dir_all(directory).and_then(|()| {
        let file = tempfile::tempfile_in(directory)?;
        file.sync_data()
    });
    let error = made.err()?;
    Some(format!(
        "{} (worker.directory): {error}",
        directory.display()
    ))
}

/// Checks that each slot has room for the largest snapshot that is known.
pub(super) fn room(settings: &Settings, largest: Option<u64>) -> Checked<String> {
    let directory = &settings.worker.directory;
    let free = available_space(directory)?;
    suffices(directory, free, settings.worker.slots(), largest)
}

fn suffices(directory: &Path, free: u64, slots: u16, largest: Option<u64>) -> Checked<String> {
    let place = directory.display();
    if free < LEAST {
        return Err(format!(
            "{place}: {} are free, and even a small store needs {}; give worker.directory (TMPDIR is not used) a larger \
             disk, or make room there",
            HumanBytes(free),
            HumanBytes(LEAST)
        )
        .into());
    }
    let Some(largest) = largest else {
        return Ok(format!(
            "{place}: {} are free; no store's size is known yet",
            HumanBytes(free)
        ));
    };
    let needed = largest.saturating_mul(TENTHS_OF_LARGEST) / 10 * u64::from(slots);
    let told = format!(
        "{place}: {} are free, and {slots} slots with the largest store ({}) need {}",
        HumanBytes(free),
        HumanBytes(largest),
        HumanBytes(needed)
    );
    if free < needed {
        return Err(format!(
            "{told}; give worker.directory (TMPDIR is not used) a larger disk, or lower worker.slots"
        )
        .into());
    }
    Ok(told)
}

/// Checks that a token lasts until a stream has begun, however long the service takes.
pub(super) fn token(settings: &Settings) -> Checked<String> {
    let (lifetime, job) = (settings.token.lifetime, settings.worker.job_timeout);
    let beginning = settings.powersync.connect_timeout + settings.powersync.idle_timeout;
    let shown = |time: Duration| humantime::format_duration(time).to_string();
    if lifetime < beginning {
        return Err(format!(
            "token.lifetime is {}, but a stream may take {} to begin (powersync.connect_timeout and idle_timeout): jobs \
             of up to {} (worker.job_timeout) would start over again and again; set token.lifetime to 5m",
            shown(lifetime),
            shown(beginning),
            shown(job)
        )
        .into());
    }
    let renewed = match job > lifetime {
        true => ", renewed on the way",
        false => "",
    };
    Ok(format!(
        "valid for {}, jobs may take {}{renewed}",
        shown(lifetime),
        shown(job)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_slot_needs_room_for_the_largest_store() {
        const MIB: u64 = 1 << 20;
        let told = |free, largest| {
            let told = suffices(Path::new("/work"), free, 4, largest);
            told.map_err(|error| error.to_string())
        };
        let full = told(0, None).unwrap_err();
        assert!(full.contains("0 B are free"), "{full}");
        let unknown = told(64 * MIB, None).unwrap();
        assert!(
            unknown.contains("no store's size is known yet"),
            "{unknown}"
        );
        // Two and a half times 100 MiB, four times.
        let enough = told(1_000 * MIB, Some(100 * MIB)).unwrap();
        assert!(enough.contains("need 1000.00 MiB"), "{enough}");
        let short = told(1_000 * MIB - 1, Some(100 * MIB)).unwrap_err();
        for said in ["/work", "100.00 MiB", "larger disk", "worker.slots"] {
            assert!(short.contains(said), "{short}");
        }
    }
}
