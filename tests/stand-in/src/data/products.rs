//! Made-up `products` rows with the shape and size of the recordings' (about 340 bytes of JSON, 570 on the wire).
//!
//! A row is computed from a seed and its index whenever it is needed, so that a store of millions costs a few
//! bytes a row.

use crate::hash::{mix, parse_uuid, push_uuid, unmix};
use std::fmt::Write;

const ADJECTIVES: [&str; 8] = [
    "Wireless",
    "Organic",
    "Compact",
    "Stainless",
    "Eco",
    "Deluxe",
    "Café",
    "日用品",
];
const NOUNS: [&str; 8] = [
    "Keyboard", "Backpack", "Blender", "Chair", "Speaker", "Kettle", "Mug", "Lamp",
];
const PITCHES: [&str; 4] = [
    "Durable and light",
    "Hand finished",
    r#"Limited \"spring\" edition"#,
    "Best seller since 2019",
];
const PROMISES: [&str; 3] = [
    "30-day returns, no questions asked.",
    "two-year warranty.",
    "ships in 2 days.",
];

/// A deterministic set of `products` rows of one store.
#[derive(Debug, Clone)]
pub struct Products {
    seed: u64,
    store_id: String,
    count: u32,
}

impl Products {
    /// No row's text is longer, in bytes, as long as the store's id is at most 256 bytes. A thousand of them fit into
    /// one line.
    pub(crate) const MAX_TEXT_LEN: usize = 900;

    /// `count` rows of the store; the same seed makes the same rows.
    pub fn new(store_id: impl Into<String>, count: u32, seed: u64) -> Self {
        let store_id = store_id.into();
        // Two stores with one seed must not share row ids.
        let seed = crate::hash::digest(&[store_id.as_bytes(), &seed.to_le_bytes()]);
        Self {
            seed,
            store_id,
            count,
        }
    }

    /// How many rows there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The store they belong to.
    pub fn store_id(&self) -> &str {
        &self.store_id
    }

    /// The id of row `index`: a uuid that carries the index, scrambled.
    pub fn id(&self, index: u32) -> String {
        let mut id = String::with_capacity(36);
        push_uuid(&mut id, self.id_bits(index));
        id
    }

    /// The index of the row with this id, if it is one of the set.
    pub fn index_of(&self, id: &str) -> Option<u32> {
        let high = (parse_uuid(id)? >> 64) as u64;
        let index = u32::try_from(unmix(high) ^ self.seed).ok()?;
        (index < self.count && self.id(index) == id).then_some(index)
    }

    /// A checksum for the row that is cheaper than its text.
    pub(crate) fn checksum(&self, index: u32) -> u32 {
        (mix(self.id_bits(index) as u64) >> 32) as u32
    }

    /// Appends row `index` as JSON text.
    pub fn write_json(&self, index: u32, out: &mut String) {
        let bits = mix(self.seed.wrapping_add(u64::from(index)));
        let pick = |shift: u32, modulus: u64| (bits >> shift) % modulus;
        out.push_str("{\"id\":\"");
        push_uuid(out, self.id_bits(index));
        // Writing to a String cannot fail. Of the values, only the store's id can need escaping.
        let _ = write!(
            out,
            "\",\"store_id\":{},\"name\":\"{} {} #{index}\",\"description\":\"{}, SKU {:012x} {}\",\
             \"price\":\"{}.{:02}\",\"quantity\":{},\
             \"created_at\":\"2025-{:02}-{:02} {:02}:{:02}:{:02}.{:06}Z\",\
             \"image_url\":\"https://cdn.example.com/p/{:016x}.jpg\"}}",
            serde_json::Value::from(self.store_id.as_str()),
            ADJECTIVES[pick(3, 8) as usize],
            NOUNS[pick(6, 8) as usize],
            PITCHES[pick(9, 4) as usize],
            bits >> 16,
            PROMISES[pick(11, 3) as usize],
            pick(13, 500),
            pick(22, 100),
            pick(29, 1000),
            1 + pick(39, 12),
            1 + pick(43, 28),
            pick(48, 24),
            pick(53, 60),
            pick(41, 60),
            pick(31, 1_000_000),
            mix(bits),
        );
    }

    fn id_bits(&self, index: u32) -> u128 {
        let high = mix(self.seed ^ u64::from(index));
        (u128::from(high) << 64) | u128::from(mix(high ^ 0x5eed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_valid_json_of_a_realistic_size_and_its_id_leads_back_to_it() {
        let products = Products::new("store \"7\"", 2000, 1);
        for index in 0..products.count() {
            let mut text = String::new();
            products.write_json(index, &mut text);
            let row: serde_json::Value = serde_json::from_str(&text).expect("valid JSON");
            assert_eq!(row["store_id"], products.store_id());
            assert!(
                (280..480).contains(&text.len()),
                "{} bytes: {text}",
                text.len()
            );
            assert_eq!(products.index_of(&products.id(index)), Some(index));
        }
        assert_eq!(
            products.index_of("00000000-0000-4000-8000-000000000002"),
            None
        );
    }
}
