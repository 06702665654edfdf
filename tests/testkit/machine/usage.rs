//! Measures what this process uses, and describes the machine, for benchmarks.

use std::{collections::HashMap, fs, time::Duration};

use rustix::time::{ClockId, clock_gettime};

/// User and system time of this process, of all its threads.
pub fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = Duration::from_secs(time.tv_sec.unsigned_abs());
    seconds + Duration::from_nanos(time.tv_nsec.unsigned_abs())
}

/// User and system time of the programs that this process has started, and of those that they have started, by name; with what
/// ended among them and was waited for.
pub fn cpu_of_children() -> HashMap<String, Duration> {
    let running: HashMap<u32, Running> = (fs::read_dir("/proc").into_iter().flatten())
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|id| Some((id, Running::read(id)?)))
        .collect();
    let own = std::process::id();
    let is_below = |mut id: u32| loop {
        match running.get(&id) {
            Some(process) if process.parent == own => return true,
            Some(process) if process.parent != id => id = process.parent,
            _ => return false,
        }
    };
    let mut times: HashMap<String, Duration> = HashMap::new();
    for (&id, process) in &running {
        if is_below(id) {
            *times.entry(process.name.clone()).or_default() += process.cpu;
        }
    }
    times
}

/// What Linux tells of a process.
struct Running {
    name: String,
    parent: u32,
    cpu: Duration,
}

impl Running {
    /// `None` if it has ended.
    fn read(id: u32) -> Option<Self> {
        // https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html: the name, in brackets, is the second field.
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // utime, stime, cutime and cstime, in hundredths of a second.
        let ticks = fields.get(11..15)?.iter().map(|ticks| ticks.parse::<u64>());
        let ticks = ticks.sum::<Result<u64, _>>().ok()?;
        Some(Self {
            name: name.to_owned(),
            parent: fields.get(1)?.parse().ok()?,
            cpu: Duration::from_millis(10 * ticks),
        })
    }
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
