//! Measures what this process uses, and describes the machine, for benchmarks.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// User and system time of this process, of all its threads.
pub fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = Duration::from_secs(time.tv_sec.unsigned_abs());
    seconds + Duration::from_nanos(time.tv_nsec.unsigned_abs())
}

/// The most memory that this process had resident since [`forget_peak`], or ever, in bytes.
///
/// # Panics
/// Where there is no `/proc` of Linux.
pub fn peak_bytes() -> u64 {
    memory("VmHWM:")
}

/// Resets [`peak_bytes`] to what is resident now.
///
/// # Panics
/// Where there is no `/proc` of Linux.
pub fn forget_peak() {
    // https://docs.kernel.org/filesystems/proc.html: 5 resets the peak resident set size.
    std::fs::write("/proc/self/clear_refs", "5").expect("there is a /proc");
}

fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("there is a /proc");
    let value = status.lines().find_map(|text| text.strip_prefix(line));
    let value = value.expect("Linux tells a process its memory");
    let kib = value.trim().trim_end_matches(" kB").parse::<u64>();
    kib.expect("a number of KiB") * 1024
}

/// Bytes in MiB.
pub fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// The machine in a line: cores and processor.
pub fn machine() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown CPU", |model| {
        model.trim_start_matches([' ', '\t', ':'])
    });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{cores} cores of {model}")
}
