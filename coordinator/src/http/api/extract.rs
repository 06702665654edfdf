//! Reads requests to the API: query, body, ids, pages. What cannot be read is refused with a [`Problem`].

use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, Path, Query, Request, rejection::JsonRejection},
    http::{header, request::Parts},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use seedbed_protocol::{RunId, StoreId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::http::problem::{Problem, body, no_object};

/// Entries of a page, unless the request says how many.
const DEFAULT_LIMIT: u32 = 50;

/// No store id is longer.
const MAX_SEARCH_CHARS: usize = 255;

/// The most entries of a page.
const MAX_LIMIT: u32 = 200;

/// The query string.
pub(super) struct Asked<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        Ok(query.map(|Query(asked)| Self(asked))?)
    }
}

/// A query string with nothing in it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// The body, as JSON. No body at all is an empty object.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let headers = request.headers();
        let has_none = headers.get(header::CONTENT_TYPE).is_none()
            && headers.get(header::TRANSFER_ENCODING).is_none()
            && headers.get(header::CONTENT_LENGTH).is_none_or(|n| n == "0");
        if has_none {
            return Ok(Self(T::default()));
        }
        // An object first: serde would take a list for one, its entries for the fields.
        let object = Json::<Map<String, Value>>::from_request(request, state).await;
        let Json(object) = object.map_err(|rejection| match rejection {
            JsonRejection::JsonDataError(_) => no_object::<T>(),
            rejection => rejection.into(),
        })?;
        body(object).map(Self)
    }
}

/// The run that the path names.
pub(super) struct RunPath(pub(super) RunId);

impl<S: Send + Sync> FromRequestParts<S> for RunPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = last_of_path(parts, state).await?;
        let run_id = text.parse();
        run_id
            .map(Self)
            .map_err(|_| Problem::invalid(format!("{text:?} is not the id of a run")))
    }
}

/// The store that the path names.
pub(super) struct StorePath(pub(super) StoreId);

impl<S: Send + Sync> FromRequestParts<S> for StorePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        store_id(last_of_path(parts, state).await?).map(Self)
    }
}

async fn last_of_path<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<String, Problem> {
    let path = Path::<String>::from_request_parts(parts, state).await;
    Ok(path.map(|Path(text)| text)?)
}

pub(super) fn store_id(text: String) -> Result<StoreId, Problem> {
    StoreId::new(text).map_err(|e| Problem::invalid(format!("the store id: {e}")))
}

/// What ids are searched for.
pub(super) fn search(asked: Option<String>) -> Result<Option<String>, Problem> {
    if asked
        .as_ref()
        .is_some_and(|text| text.chars().count() > MAX_SEARCH_CHARS)
    {
        return Err(Problem::invalid("search is longer than any store id"));
    }
    if asked
        .as_ref()
        .is_some_and(|text| text.contains(char::is_control))
    {
        return Err(Problem::invalid(
            "search has a control character, such as %00, which no name has",
        ));
    }
    Ok(asked)
}

/// How many entries a page has.
pub(super) fn limit(asked: Option<u32>) -> Result<u32, Problem> {
    let limit = asked.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::invalid(format!("limit must be 1 to {MAX_LIMIT}")));
    }
    Ok(limit)
}

/// Where a page begins, as text that means something to this server only.
pub(super) fn cursor(place: &impl Serialize) -> String {
    let json = serde_json::to_vec(place).expect("a place is plain JSON");
    URL_SAFE_NO_PAD.encode(json)
}

/// Reads what [`cursor`] wrote.
pub(super) fn place<T: DeserializeOwned>(after: Option<&str>) -> Result<Option<T>, Problem> {
    let read = |text: &str| {
        let json = URL_SAFE_NO_PAD.decode(text).ok()?;
        serde_json::from_slice(&json).ok()
    };
    let unknown = || Problem::invalid("after is not the `next` of an earlier answer");
    after.map(|text| read(text).ok_or_else(unknown)).transpose()
}
