//! What several tests of refusals share.

use testkit::serving::{Serving, database_path};

/// What Supabase calls the legacy JWT secret: plain text, which also happens to look like base64url.
pub(super) const SUPABASE: &str = "super-secret-jwt-token-with-at-least-32-characters-long";

/// What a refused token is told.
pub(super) async fn reason(serving: &Serving, token: &str) -> String {
    let answer = serving.get(&database_path("x"), Some(token)).await;
    assert_eq!(answer.status, 401, "{answer:?}");
    answer.json()["message"].as_str().unwrap().to_owned()
}
