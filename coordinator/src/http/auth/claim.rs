//! Which stores a claim names. Numbers are compared as they are written: read as floating point, two of them beyond 2^53
//! can be the same, and one store's token would open another's snapshot.

use std::collections::HashMap;

use seedbed_protocol::StoreId;
use serde_json::value::RawValue;

/// Returns whether the claim is the store, or a list with it: a text, or an integer in decimal. `a.b` is `b` within `a`,
/// unless there is a claim of that name.
pub(super) fn names(claims: &RawValue, claim: &str, store_id: &StoreId) -> bool {
    let Some(value) = value_of(claims, claim) else {
        return false;
    };
    match serde_json::from_str::<Vec<&RawValue>>(value.get()) {
        Ok(stores) => stores.into_iter().any(|store| is_store(store, store_id)),
        Err(_) => is_store(value, store_id),
    }
}

/// Returns the one store that the claim names; `None` if it names several, or none.
pub(super) fn only(claims: &RawValue, claim: &str) -> Option<StoreId> {
    let value = value_of(claims, claim)?;
    let value = match serde_json::from_str::<Vec<&RawValue>>(value.get()) {
        Ok(stores) => <[_; 1]>::try_from(stores).ok()?[0],
        Err(_) => value,
    };
    let json = value.get().trim();
    let text = match serde_json::from_str::<String>(json) {
        Ok(text) => text,
        Err(_) => json.to_owned(),
    };
    let store_id = StoreId::new(text).ok()?;
    is_store(value, &store_id).then_some(store_id)
}

/// The value of the claim: `a.b` is `b` within `a`, unless there is a claim of that name.
pub(in crate::http) fn value_of<'json>(
    claims: &'json RawValue,
    claim: &str,
) -> Option<&'json RawValue> {
    let nested = || claim.split('.').try_fold(claims, member);
    member(claims, claim).or_else(nested)
}

fn member<'json>(object: &'json RawValue, name: &str) -> Option<&'json RawValue> {
    let members: HashMap<String, &RawValue> = serde_json::from_str(object.get()).ok()?;
    members.get(name).copied()
}

fn is_store(value: &RawValue, store_id: &StoreId) -> bool {
    let json = value.get().trim();
    if json.starts_with('"') {
        return serde_json::from_str::<String>(json).is_ok_and(|text| text == store_id.as_str());
    }
    is_integer(json) && json == store_id.as_str()
}

/// Whether this JSON is an integer in the one way to write it: `1.0`, `1e0` and `-0` are others.
fn is_integer(json: &str) -> bool {
    let digits = json.strip_prefix('-').unwrap_or(json);
    let is_one = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    is_one && (json == "0" || !digits.starts_with('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(claims: &str, claim: &str, store: &str) -> bool {
        let claims = RawValue::from_string(claims.to_owned()).unwrap();
        names(&claims, claim, &StoreId::new(store).unwrap())
    }

    #[test]
    fn a_claim_names_a_store_by_text_integer_or_list() {
        for (claims, claim) in [
            (r#"{"store_id": "7"}"#, "store_id"),
            (r#"{"store_id": 7 }"#, "store_id"),
            (r#"{"stores": ["6", 7]}"#, "stores"),
            (r#"{"app": {"store": "7"}}"#, "app.store"),
            (r#"{"a.b": "7", "a": {"b": "6"}}"#, "a.b"),
            (r#"{"store_id": "\u0037"}"#, "store_id"),
        ] {
            assert!(named(claims, claim, "7"), "{claims}");
        }
        for claims in [
            r#"{}"#,
            r#"{"store_id": "70"}"#,
            r#"{"store_id": 7.0}"#,
            r#"{"store_id": 7.5}"#,
            r#"{"store_id": 7e0}"#,
            r#"{"store_id": 0.7E1}"#,
            r#"{"store_id": "07"}"#,
            r#"{"store_id": {"7": "7"}}"#,
            r#"{"store_id": []}"#,
            r#"{"store_id": [["7"]]}"#,
            r#"{"store_id": null}"#,
            r#""7""#,
        ] {
            assert!(!named(claims, "store_id", "7"), "{claims}");
        }
    }

    #[test]
    fn a_claim_with_one_store_names_it_and_one_with_several_names_none() {
        let named = |claims: &str| {
            let claims = RawValue::from_string(claims.to_owned()).unwrap();
            only(&claims, "s").map(|store| store.to_string())
        };
        for claims in [
            r#"{"s": "7"}"#,
            r#"{"s": 7}"#,
            r#"{"s": ["7"]}"#,
            r#"{"s": [7]}"#,
        ] {
            assert_eq!(named(claims).as_deref(), Some("7"), "{claims}");
        }
        for claims in [
            "{}",
            r#"{"s": []}"#,
            r#"{"s": ["7", "8"]}"#,
            r#"{"s": 7.0}"#,
            r#"{"s": ""}"#,
            r#"{"s": null}"#,
        ] {
            assert_eq!(named(claims), None, "{claims}");
        }
    }

    #[test]
    fn neighbours_beyond_floating_point_are_never_one_store() {
        for (number, store, same) in [
            ("9007199254740993", "9007199254740993", true),
            ("9007199254740993", "9007199254740992", false),
            ("9007199254740993.0", "9007199254740993", false),
            ("9.007199254740993e15", "9007199254740993", false),
            ("18446744073709551617", "18446744073709551617", true),
            ("18446744073709551617", "18446744073709551616", false),
            ("18446744073709551617", "1.8446744073709552e19", false),
            ("1e400", "1e400", false),
            ("-5", "-5", true),
            ("-0", "0", false),
            ("-0", "-0", false),
            ("0", "0", true),
        ] {
            let claims = format!(r#"{{"s": {number}, "l": [{number}]}}"#);
            assert_eq!(named(&claims, "s", store), same, "{number} and {store}");
            assert_eq!(named(&claims, "l", store), same, "{number} and {store}");
        }
    }
}
