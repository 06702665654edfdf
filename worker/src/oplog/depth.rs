//! Limits how deep a BSON document is nested.
//!
//! Deserializers follow a nested document by calling themselves, and the core extension's has no limit. JSON needs no
//! check: its deserializers stop at a depth of 128.

use std::borrow::Cow;

use bson::{RawBsonRef, RawDocument, spec::ElementType};

/// The deepest nesting, the document itself included: the protocol's depth with room for later services.
const MAX_DEPTH: usize = 32;

/// Checks every document and array within `document`, which itself is the `depth`th level, from 1.
///
/// # Errors
/// Why a deserializer must not read it.
pub(super) fn check_document(
    document: &RawDocument,
    depth: usize,
) -> Result<(), Cow<'static, str>> {
    if depth > MAX_DEPTH {
        return Err("it is nested too deep".into());
    }
    let malformed = |error: bson::error::Error| Cow::from(error.to_string());
    for element in document.iter_elements() {
        let element = element.map_err(malformed)?;
        match element.element_type() {
            ElementType::EmbeddedDocument
            | ElementType::Array
            | ElementType::JavaScriptCodeWithScope => {
                check_value(element.value().map_err(malformed)?, depth + 1)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Checks a value that would be the `depth`th level if it is a document or an array.
///
/// # Errors
/// As [`check_document`].
pub(super) fn check_value(value: RawBsonRef<'_>, depth: usize) -> Result<(), Cow<'static, str>> {
    match value {
        RawBsonRef::Document(inner) => check_document(inner, depth),
        RawBsonRef::Array(inner) => match RawDocument::from_bytes(inner.as_bytes()) {
            Ok(inner) => check_document(inner, depth),
            Err(error) => Err(error.to_string().into()),
        },
        RawBsonRef::JavaScriptCodeWithScope(_) => Err("a program".into()),
        _ => Ok(()),
    }
}
