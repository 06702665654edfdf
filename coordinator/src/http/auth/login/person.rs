//! Who has signed in, and what that makes them here.

use seedbed_protocol::text::is_hidden;
use serde_json::{Value, value::RawValue};

use super::{id_token::IdToken, state::Login};
use crate::{catalog::Role, http::auth::claim::value_of};

/// The longest name, in characters.
const MOST_NAME: usize = 100;

/// Returns the role that the claim makes somebody, the highest of all; `None` for nobody here.
pub(super) fn role_of(login: &Login, claims: &RawValue) -> Option<Role> {
    let claim = value_of(claims, &login.role_claim)?;
    let held: Vec<String> = match serde_json::from_str(claim.get()).ok()? {
        Value::String(one) => vec![one],
        Value::Array(all) => {
            let texts = all.into_iter().filter_map(|value| match value {
                Value::String(text) => Some(text),
                _ => None,
            });
            texts.collect()
        }
        _ => return None,
    };
    let has = |role: &&(Role, Vec<String>)| role.1.iter().any(|name| held.contains(name));
    login.roles.iter().find(has).map(|(role, _)| *role)
}

/// Returns the person's name: a claim if it can be shown, otherwise the provider's id. An address that nobody has verified is none.
pub(super) fn name_of(login: &Login, token: &IdToken, more: Option<&RawValue>) -> String {
    let text = |claims: &RawValue, claim: &str| -> Option<String> {
        serde_json::from_str(value_of(claims, claim)?.get()).ok()
    };
    let named = |claims: &RawValue| {
        let unverified =
            value_of(claims, "email_verified").is_some_and(|is| is.get().trim() == "false");
        let is_email = login.name_claim == "email";
        text(claims, &login.name_claim).filter(|_| !(is_email && unverified))
    };
    let is_shown = |name: &String| {
        !name.trim().is_empty()
            && name.chars().count() <= MOST_NAME
            && !name.contains(|c: char| c.is_control() || is_hidden(c))
    };
    let name = named(&token.claims).or_else(|| named(more?));
    name.filter(is_shown)
        .unwrap_or_else(|| token.subject.clone())
}
