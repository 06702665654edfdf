//! The entries that are sorted at once.

/// How many bytes of two entries are compared at a time.
const WORD: usize = 8;

/// Entries that are the same in so many bytes are compared as a whole: each step calls the next one.
const DEEPEST: usize = 32 * WORD;

/// Entries as they come.
#[derive(Default)]
pub(super) struct Part {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

/// Where an entry stands among the bytes.
#[derive(Clone, Copy)]
struct Entry {
    /// The bytes that are compared next, so that most comparisons do not look at the entry itself.
    word: u64,
    start: u32,
    length: u32,
}

impl Part {
    pub(super) fn push(&mut self, parts: &[&[u8]]) {
        let start = self.bytes.len();
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self.entries.push(Entry {
            word: 0,
            start: start as u32,
            length: (self.bytes.len() - start) as u32,
        });
    }

    /// Returns how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len() + self.entries.len() * size_of::<Entry>()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the entries in their order, each after its length.
    pub(super) fn sorted(mut self) -> Vec<u8> {
        sort(&self.bytes, &mut self.entries, 0);
        let mut sorted = Vec::with_capacity(self.bytes.len() + 4 * self.entries.len());
        for entry in &self.entries {
            sorted.extend_from_slice(&entry.length.to_le_bytes());
            sorted.extend_from_slice(entry.of(&self.bytes));
        }
        sorted
    }
}

impl Entry {
    fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..][..self.length as usize]
    }

    /// Returns the bytes from `depth` on as a number; what is behind the end counts as zeros.
    fn word_at(self, bytes: &[u8], depth: usize) -> u64 {
        let rest = self.of(bytes).get(depth..).unwrap_or_default();
        if let Some(word) = rest.first_chunk() {
            return u64::from_be_bytes(*word);
        }
        let mut word = [0; WORD];
        word[..rest.len()].copy_from_slice(rest);
        u64::from_be_bytes(word)
    }
}

/// Sorts entries that are the same before `depth`.
fn sort(bytes: &[u8], entries: &mut [Entry], depth: usize) {
    if depth > DEEPEST {
        entries.sort_unstable_by(|a, b| a.of(bytes).cmp(b.of(bytes)));
        return;
    }
    for entry in entries.iter_mut() {
        entry.word = entry.word_at(bytes, depth);
    }
    entries.sort_unstable_by_key(|entry| (entry.word, entry.length.min((depth + WORD + 1) as u32)));
    let same = |a: &Entry, b: &Entry| a.word == b.word;
    for entries in entries.chunk_by_mut(same) {
        // Those that end here are the first ones, the shorter ones before the longer ones.
        let ended = entries.partition_point(|entry| entry.length as usize <= depth + WORD);
        if let rest @ [_, _, ..] = &mut entries[ended..] {
            sort(bytes, rest, depth + WORD);
        }
    }
}
