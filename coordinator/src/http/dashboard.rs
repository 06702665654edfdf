//! The dashboard: a page, its modules and its style, compiled in from `coordinator/dashboard/`. These files are public;
//! everything that they show comes from `/api`, which asks for a token.

use std::sync::LazyLock;

use axum::{
    Router,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use seedbed_protocol::digest::Hasher;

/// What the files of this version hash to: they belong together, so they change together.
static ETAG: LazyLock<HeaderValue> = LazyLock::new(|| {
    let mut hash = Hasher::default();
    hash.update(PAGE);
    hash.update(STYLE.as_bytes());
    for (path, content) in ASSETS {
        hash.update(path.as_bytes());
        hash.update(content);
    }
    let etag = format!("\"{}\"", hash.finish().sha256);
    HeaderValue::from_str(&etag).expect("hexadecimal digits in quotes are a header's value")
});

macro_rules! assets {
    ($($name:literal),* $(,)?) => {
        [$((concat!("/assets/", $name), include_bytes!(concat!("../../dashboard/", $name)) as &[u8])),*]
    };
}

/// The page.
const PAGE: &[u8] = include_bytes!("../../dashboard/index.html");

/// Where each file is found, and what is in it.
const ASSETS: &[(&str, &[u8])] = &assets![
    "api.js",
    "control.js",
    "dialog.js",
    "dom.js",
    "format.js",
    "icon.svg",
    "live.js",
    "main.js",
    "part/days.js",
    "part/freshness.js",
    "part/history.js",
    "part/jobs.js",
    "part/outcome/comparison.js",
    "part/outcome/reasons.js",
    "part/pager.js",
    "part/period.js",
    "part/promise.js",
    "part/run-card.js",
    "part/start-run.js",
    "part/steps.js",
    "part/workers.js",
    "session.js",
    "stream.js",
    "ui.js",
    "view/control/access.js",
    "view/audit.js",
    "view/costs.js",
    "view/control/delivery.js",
    "view/failures.js",
    "view/launches.js",
    "view/overview.js",
    "view/run.js",
    "view/runs.js",
    "view/control/sign-in.js",
    "view/sizes.js",
    "view/store.js",
    "view/stores.js",
    "view/timeline.js",
];

/// Where the style is found: one file to browsers, several here.
const STYLE_PATH: &str = "/assets/style.css";

/// The style, in the order in which its parts override each other.
static STYLE: LazyLock<String> = LazyLock::new(|| {
    [
        include_str!("../../dashboard/style/base.css"),
        include_str!("../../dashboard/style/frame.css"),
        include_str!("../../dashboard/style/parts.css"),
        include_str!("../../dashboard/style/charts.css"),
        include_str!("../../dashboard/style/timeline.css"),
        include_str!("../../dashboard/style/tables.css"),
        include_str!("../../dashboard/style/controls.css"),
        include_str!("../../dashboard/style/access.css"),
        include_str!("../../dashboard/style/screens.css"),
    ]
    .join("\n")
});

/// The page and its files.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let page = get(async |headers: HeaderMap| asset(&headers, "index.html", PAGE));
    let style = get(async |headers: HeaderMap| asset(&headers, STYLE_PATH, STYLE.as_bytes()));
    ASSETS.iter().fold(
        Router::new().route("/", page).route(STYLE_PATH, style),
        |router, &(path, content)| {
            router.route(
                path,
                get(async move |headers: HeaderMap| asset(&headers, path, content)),
            )
        },
    )
}

/// A file, or that the browser has it already.
fn asset(request: &HeaderMap, path: &'static str, content: &'static [u8]) -> Response {
    let headers = [
        (header::ETAG, ETAG.clone()),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::CONTENT_TYPE, content_type(path)),
    ];
    if request.get(header::IF_NONE_MATCH) == Some(&*ETAG) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, content).into_response()
}

fn content_type(path: &str) -> HeaderValue {
    HeaderValue::from_static(match path.rsplit_once('.') {
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        _ => "text/html; charset=utf-8",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_page_and_its_modules_name_is_served() {
        let contents = ASSETS.iter().map(|(_, content)| *content).chain([PAGE]);
        let texts = contents.map(|content| std::str::from_utf8(content).unwrap());
        let mut named = 0;
        for quoted in texts.flat_map(|text| text.split('"')) {
            // Modules name each other relatively, and no two have the same name.
            let name = quoted
                .trim_start_matches("/assets/")
                .trim_start_matches("../");
            let name = name.trim_start_matches("./");
            let is_file = quoted.starts_with("/assets/")
                || quoted.starts_with('.') && quoted.ends_with(".js");
            if is_file {
                named += 1;
                let mut paths = ASSETS.iter().map(|(path, _)| *path).chain([STYLE_PATH]);
                let known = paths.any(|path| path.ends_with(name));
                assert!(known, "{quoted} is not served");
            }
        }
        assert!(named > ASSETS.len(), "{named} names were found");
    }

    #[test]
    fn a_browser_that_has_this_version_is_not_sent_it_again() {
        let fresh = asset(&HeaderMap::new(), "index.html", PAGE);
        assert_eq!(fresh.status(), StatusCode::OK);
        let mut request = HeaderMap::new();
        request.insert(header::IF_NONE_MATCH, fresh.headers()[header::ETAG].clone());
        let again = asset(&request, "index.html", PAGE);
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        request.insert(header::IF_NONE_MATCH, HeaderValue::from_static("\"other\""));
        assert_eq!(asset(&request, "index.html", PAGE).status(), StatusCode::OK);
    }
}
