//! What SQLite's file format says of integers and of payloads that are larger than a page.

/// The longest variable-length integer, in bytes.
pub(super) const VARINT_BYTES: usize = 9;

/// Reads SQLite's variable-length integer at `at`, and moves behind it; `None` if it does not end.
pub(crate) fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0;
    for count in 1..=VARINT_BYTES {
        let byte = *bytes.get(*at)?;
        *at += 1;
        if count == VARINT_BYTES {
            return Some(value << 8 | u64::from(byte));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Appends `value` as a variable-length integer.
pub(super) fn write_varint(to: &mut Vec<u8>, value: u64) {
    if value >> 56 != 0 {
        // The ninth byte has eight bits of its own.
        to.extend(
            (1..VARINT_BYTES)
                .rev()
                .map(|place| (value >> (7 * place + 1)) as u8 | 0x80),
        );
        to.push(value as u8);
        return;
    }
    let bits = u64::BITS - value.leading_zeros();
    let more = bits.saturating_sub(1) / 7;
    to.extend(
        (1..=more)
            .rev()
            .map(|place| (value >> (7 * place)) as u8 | 0x80),
    );
    to.push(value as u8 & 0x7f);
}

/// Returns how much of a payload of so many bytes is in a leaf of a table, or in any page of an index, itself.
pub(crate) fn local_bytes(is_table: bool, page: usize, payload: usize) -> usize {
    let least = (page - 12) * 32 / 255 - 23;
    let most = match is_table {
        true => page - 35,
        false => (page - 12) * 64 / 255 - 23,
    };
    if payload <= most {
        return payload;
    }
    let filled = least + (payload - least) % (page - 4);
    if filled <= most { filled } else { least }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_integer_is_read_as_it_was_written() {
        let powers = (0..64).flat_map(|bit| [(1 << bit) - 1, 1_u64 << bit, (1 << bit) + 1]);
        for value in powers.chain([u64::MAX]) {
            let mut bytes = Vec::new();
            write_varint(&mut bytes, value);
            let mut at = 0;
            assert_eq!(varint(&bytes, &mut at), Some(value));
            assert_eq!(at, bytes.len(), "{value}");
            let shortest = (u64::BITS - value.leading_zeros()).div_ceil(7).clamp(1, 9);
            assert_eq!(bytes.len(), shortest as usize, "{value}");
        }
    }
}
