//! Deterministic, dependency-free mixing for ids, subkeys and checksums. Nothing here is cryptographic.

/// Scrambles 64 bits reversibly (the finalizer of SplitMix64); [`unmix`] undoes it.
pub(crate) fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The inverse of [`mix`].
pub(crate) fn unmix(mut value: u64) -> u64 {
    value = (value ^ (value >> 31) ^ (value >> 62)).wrapping_mul(0x3196_42b2_d24d_8ec3);
    value = (value ^ (value >> 27) ^ (value >> 54)).wrapping_mul(0x96de_1b17_3f11_9089);
    value ^ (value >> 30) ^ (value >> 60)
}

/// FNV-1a over several byte strings, kept apart by a separator.
pub(crate) fn digest(parts: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        for byte in part.iter().chain(&[0xff]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    mix(hash)
}

/// 128 bits from several byte strings: a uuid's worth.
pub(crate) fn wide_digest(parts: &[&[u8]]) -> u128 {
    let high = digest(parts);
    let low = mix(high
        ^ parts
            .iter()
            .map(|part| part.len() as u64)
            .sum::<u64>()
            .rotate_left(32));
    (u128::from(high) << 64) | u128::from(low)
}

/// Appends `value` in the form of a uuid, lower case with hyphens.
pub(crate) fn push_uuid(out: &mut String, value: u128) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for (position, byte) in value.to_be_bytes().into_iter().enumerate() {
        if matches!(position, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        out.push(char::from(HEX[usize::from(byte >> 4)]));
        out.push(char::from(HEX[usize::from(byte & 15)]));
    }
}

/// Reads what [`push_uuid`] wrote.
pub(crate) fn parse_uuid(text: &str) -> Option<u128> {
    if text.len() != 36 {
        return None;
    }
    let mut value = 0_u128;
    for (position, character) in text.chars().enumerate() {
        if matches!(position, 8 | 13 | 18 | 23) {
            if character != '-' {
                return None;
            }
            continue;
        }
        value = (value << 4) | u128::from(character.to_digit(16)?);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixing_is_reversible() {
        for value in [0, 1, 2, 77, u64::MAX, 0x0123_4567_89ab_cdef] {
            assert_eq!(unmix(mix(value)), value);
        }
    }

    #[test]
    fn a_written_uuid_reads_back() {
        let mut text = String::new();
        push_uuid(&mut text, 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
        assert_eq!(text, "00112233-4455-6677-8899-aabbccddeeff");
        assert_eq!(
            parse_uuid(&text),
            Some(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff)
        );
        assert_eq!(parse_uuid("not a uuid"), None);
    }
}
