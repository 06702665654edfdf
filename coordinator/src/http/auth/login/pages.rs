//! The page for who was not signed in: what happened, and what to do. It needs no script.

use axum::{
    http::{HeaderName, HeaderValue, header},
    response::{Html, IntoResponse, Response},
};

use super::error::LoginError;

/// For programs, such as tests: why.
const ERROR: HeaderName = HeaderName::from_static("x-seedbed-error");

/// Says why somebody was not signed in.
pub(super) fn refusal(error: &LoginError) -> Response {
    let (title, text) = words(error);
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title} · Seedbed</title>\n\
         <link rel=\"icon\" href=\"/assets/icon.svg\" type=\"image/svg+xml\">\n\
         <link rel=\"stylesheet\" href=\"/assets/style.css\">\n</head>\n<body>\n\
         <header class=\"top\"><a class=\"brand\" href=\"/\">Seedbed</a></header>\n<main id=\"main\">\n<div class=\"door\">\n\
         <h1>{title}</h1>\n<p>{text}</p>\n\
         <p><a class=\"button primary\" href=\"/login?again\">Sign in again</a></p>\n\
         <p class=\"message\"><a href=\"/\">Back to the dashboard</a></p>\n</div>\n</main>\n</body>\n</html>\n"
    );
    let headers = [
        (ERROR, HeaderValue::from_static(error.code())),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (error.status(), headers, Html(page)).into_response()
}

fn words(error: &LoginError) -> (&'static str, String) {
    let tell = "Tell an administrator; the server’s log says more.";
    match error {
        LoginError::NoRole(name) => (
            "You have no access",
            format!(
                "You are known to your provider as <bdi>{}</bdi>, but have no role here. Ask an administrator to give you one, \
                 and sign in again. Nothing was opened.",
                escaped(name)
            ),
        ),
        LoginError::Denied(word) => (
            "You were not signed in",
            format!("Your provider refused it ({}).", escaped(word)),
        ),
        LoginError::NotBegun => (
            "This login is over",
            "It was begun in another browser or tab, or more than ten minutes ago. Sign in again."
                .to_owned(),
        ),
        LoginError::Over => (
            "This login is over",
            "It has been used already. Sign in again.".to_owned(),
        ),
        LoginError::Provider(_) => (
            "Your provider does not answer",
            format!("Nobody can sign in by it now; tokens work. {tell}"),
        ),
        LoginError::Catalog(_) => (
            "Seedbed cannot sign you in now",
            "Its catalog does not answer. Try again soon.".to_owned(),
        ),
        LoginError::Malformed(_)
        | LoginError::OtherIssuer
        | LoginError::Code(_)
        | LoginError::Token(_) => (
            "You were not signed in",
            format!("What your provider answered is not accepted. {tell}"),
        ),
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}
