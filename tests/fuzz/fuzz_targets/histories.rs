//! Histories of a store, drawn from the input: the engine and the core extension alone make the same database of each.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rand::RngCore;

#[path = "../../it/local/worker/loading/content.rs"]
mod content;
#[path = "../../it/local/worker/loading/dump.rs"]
mod dump;
#[path = "../../it/local/worker/loading/history.rs"]
mod history;
#[path = "../../it/local/worker/loading/paths.rs"]
mod paths;

/// Draws from the input, and when that is used up, from a sequence that follows it.
struct Input<'a> {
    bytes: &'a [u8],
    state: u64,
}

impl RngCore for Input<'_> {
    fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    fn next_u64(&mut self) -> u64 {
        let (drawn, rest) = self.bytes.split_at(self.bytes.len().min(2));
        self.bytes = rest;
        // SplitMix64, so that two bytes say all of a choice.
        for byte in drawn {
            self.state = (self.state << 8) ^ u64::from(*byte);
        }
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(8) {
            part.copy_from_slice(&self.next_u64().to_le_bytes()[..part.len()]);
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input { bytes, state: 0 };
    paths::compare(&mut input, "this input");
});
