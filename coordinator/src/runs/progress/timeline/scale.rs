//! Times as shares, as words and as ticks of an axis.

use std::time::Duration;

/// Milliseconds between two ticks, the shortest first.
const TICKS: [u64; 22] = [
    10, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000,
    600_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000, 28_800_000, 86_400_000,
];

/// Ticks of an axis, at most.
const MOST_TICKS: u64 = 8;

/// Returns `part` in hundredths of `all`, rounded; 0 of nothing.
pub(super) fn percent(part: u64, all: u64) -> u64 {
    (part * 100 + all / 2).checked_div(all).unwrap_or_default()
}

/// Returns milliseconds in words, precise to what matters at their length.
pub(super) fn spoken(millis: u64) -> String {
    let rounded = match millis {
        0..1_000 => millis,
        1_000..10_000 => millis / 100 * 100,
        _ => millis / 1_000 * 1_000,
    };
    let text = humantime::format_duration(Duration::from_millis(rounded)).to_string();
    // The two largest units say enough.
    let units: Vec<&str> = text.split(' ').take(2).collect();
    units.join(" ")
}

/// Returns the places of ticks on an axis of so many milliseconds.
pub(super) fn ticks(length: u64) -> impl Iterator<Item = u64> {
    let fits = |step: &&u64| length / **step <= MOST_TICKS;
    let longest = length.div_ceil(MOST_TICKS).max(1);
    let step = TICKS.iter().find(fits).copied().unwrap_or(longest);
    (0..=length / step).map(move |nth| nth * step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_two_units_and_shares_are_rounded() {
        assert_eq!(spoken(0), "0s");
        assert_eq!(spoken(12), "12ms");
        assert_eq!(spoken(9_876), "9s 800ms");
        assert_eq!(spoken(192_999), "3m 12s");
        assert_eq!(spoken(90_061_000), "1day 1h");
        assert_eq!((percent(1, 3), percent(2, 3), percent(1, 0)), (33, 67, 0));
    }

    #[test]
    fn an_axis_has_few_round_ticks_whatever_its_length() {
        for length in [1, 99, 7_300, 3_600_000, 900_000_000, 90_000_000_000] {
            let ticks: Vec<u64> = ticks(length).collect();
            assert!((1..=9).contains(&ticks.len()), "{length}: {ticks:?}");
            assert!(ticks.iter().all(|tick| *tick <= length), "{length}");
        }
        assert_eq!(ticks(7_300).collect::<Vec<_>>()[1], 1_000);
    }
}
