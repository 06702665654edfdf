//! How long faults took to heal.

use std::{collections::BTreeMap, fmt, time::Duration};

use super::faults::FaultKind;

/// The times of each kind of fault.
#[derive(Debug, Default)]
pub(super) struct Report(BTreeMap<FaultKind, Vec<Duration>>);

impl Report {
    /// Notes that jobs ended again so long after a fault was over.
    pub(super) fn healed(&mut self, kind: FaultKind, took: Duration) {
        self.0.entry(kind).or_default().push(took);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<24} {:>5} {:>8} {:>8}",
            "fault", "times", "median", "max"
        )?;
        for (kind, times) in &self.0 {
            let mut times = times.clone();
            times.sort();
            let seconds = |time: &Duration| format!("{:.1} s", time.as_secs_f64());
            let (median, max) = (&times[times.len() / 2], &times[times.len() - 1]);
            writeln!(
                f,
                "{:<24} {:>5} {:>8} {:>8}",
                format!("{kind:?}"),
                times.len(),
                seconds(median),
                seconds(max)
            )?;
        }
        Ok(())
    }
}
