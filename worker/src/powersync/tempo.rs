//! Whether a service answers more slowly than it can.

use std::time::Duration;

/// Answers within this time are never slow, whatever is usual.
const NEVER_SLOW: Duration = Duration::from_millis(200);

/// An answer that takes so many times as long as the fastest of late is slow.
const SLOW_FACTOR: u32 = 3;

/// The fastest answer is that of so many to twice as many: when all have become slow, as after a compaction, that is
/// usual, and fewer streams would not help.
const ANSWERS: u32 = 32;

/// The fastest answers of late.
#[derive(Debug)]
pub(super) struct Tempo {
    fastest: Duration,
    /// The fastest of the [`ANSWERS`] before.
    fastest_before: Duration,
    answers: u32,
}

impl Tempo {
    pub(super) fn new() -> Self {
        Self {
            fastest: Duration::MAX,
            fastest_before: Duration::MAX,
            answers: 0,
        }
    }

    /// Records an answer, and returns whether it was slow.
    pub(super) fn is_slow(&mut self, took: Duration) -> bool {
        let usual = self.fastest.min(self.fastest_before);
        if self.answers == ANSWERS {
            self.answers = 0;
            self.fastest_before = std::mem::replace(&mut self.fastest, Duration::MAX);
        }
        self.answers += 1;
        self.fastest = self.fastest.min(took);
        took > NEVER_SLOW && took > usual.saturating_mul(SLOW_FACTOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_slow_compared_with_the_fastest_of_late() {
        let millis = Duration::from_millis;
        let mut tempo = Tempo::new();
        assert!(!tempo.is_slow(millis(500)), "nothing to compare with");
        assert!(!tempo.is_slow(millis(20)));
        assert!(tempo.is_slow(millis(500)));
        assert!(!tempo.is_slow(millis(150)), "fast enough");
        let slow = (0..2 * ANSWERS).filter(|_| tempo.is_slow(millis(500)));
        assert!(slow.count() >= ANSWERS as usize);
        assert!(!tempo.is_slow(millis(500)), "that is usual now");
        assert!(tempo.is_slow(millis(2_000)));
    }
}
