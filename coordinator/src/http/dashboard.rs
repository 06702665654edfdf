//! The dashboard: a page, its modules and its style, compiled in. Everything that it shows comes from `/api`, which asks for
//! the admin token; these files are for everybody.

use std::sync::LazyLock;

use axum::{
    Router,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use sha2::{Digest, Sha256};

/// What the files of this version hash to: they belong together, so they change together.
static ETAG: LazyLock<HeaderValue> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for (path, content) in ASSETS {
        hash.update(path);
        hash.update(content);
    }
    let etag = format!("\"{:x}\"", hash.finalize());
    HeaderValue::from_str(&etag).expect("hexadecimal digits in quotes are a header's value")
});

macro_rules! assets {
    ($($name:literal),* $(,)?) => {
        [$((concat!("/assets/", $name), include_bytes!(concat!("assets/", $name)))),*]
    };
}

/// The page.
const PAGE: &[u8] = include_bytes!("assets/index.html");

/// Where each file is found, and what is in it.
const ASSETS: &[(&str, &[u8])] = &assets![
    "api.js",
    "dialog.js",
    "dom.js",
    "format.js",
    "icon.svg",
    "live.js",
    "main.js",
    "stream.js",
    "style.css",
    "ui.js",
    "view/freshness.js",
    "view/history.js",
    "view/jobs.js",
    "view/overview.js",
    "view/pager.js",
    "view/run-card.js",
    "view/run.js",
    "view/runs.js",
    "view/sign-in.js",
    "view/start-run.js",
    "view/steps.js",
    "view/store.js",
    "view/stores.js",
];
