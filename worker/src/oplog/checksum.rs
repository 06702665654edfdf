//! Parses checksums, one way for all lines. They are compared in `engine/loader.rs`, by the core extension, and in
//! `snapshot/verify/checksums.rs`.
//!
//! A checksum has 32 bits and is compared modulo 2^32. BSON writes it as int32, or as a double when that does not fit;
//! JSON as a signed or unsigned number. What has more bits or a fraction is refused, as the core extension refuses it:
//! cutting it to 32 bits could make a wrong value pass.

use std::fmt;

use bson::RawBsonRef;
use serde::{Deserialize, Deserializer, de};

/// A checksum as a line has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Checksum(pub(super) u32);

impl Checksum {
    fn from_i64(number: i64) -> Option<Self> {
        let fits = u32::try_from(number).is_ok() || i32::try_from(number).is_ok();
        fits.then_some(Self(number as u32))
    }

    fn from_f64(number: f64) -> Option<Self> {
        let is_whole = number.is_finite() && number.trunc() == number;
        is_whole.then_some(number as i64).and_then(Self::from_i64)
    }

    /// Returns the checksum that a BSON value is, if it is one.
    pub(super) fn from_bson(value: RawBsonRef<'_>) -> Option<Self> {
        match value {
            RawBsonRef::Int32(number) => Self::from_i64(number.into()),
            RawBsonRef::Int64(number) => Self::from_i64(number),
            RawBsonRef::Double(number) => Self::from_f64(number),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Checksum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Checksum;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a checksum of 32 bits")
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Checksum, E> {
                let wrong = || E::invalid_value(de::Unexpected::Signed(value), &self);
                Checksum::from_i64(value).ok_or_else(wrong)
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Checksum, E> {
                let wrong = |_| E::invalid_value(de::Unexpected::Unsigned(value), &self);
                u32::try_from(value).map(Checksum).map_err(wrong)
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Checksum, E> {
                let wrong = || E::invalid_value(de::Unexpected::Float(value), &self);
                Checksum::from_f64(value).ok_or_else(wrong)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_unsigned_and_double_are_one_value_and_more_than_32_bits_are_refused() {
        let read = |text: &str| serde_json::from_str::<Checksum>(text).ok();
        for text in ["-1", "4294967295", "4294967295.0", "-1.0"] {
            assert_eq!(read(text), Some(Checksum(u32::MAX)), "{text}");
        }
        for text in ["4294967296", "-2147483649", "0.5", "1e300", "null", "\"1\""] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(
            Checksum::from_bson(RawBsonRef::Double(4_294_967_294.0)),
            Some(Checksum(u32::MAX - 1))
        );
        assert_eq!(Checksum::from_bson(RawBsonRef::Double(f64::NAN)), None);
    }
}
