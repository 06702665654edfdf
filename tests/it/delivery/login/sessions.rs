//! What a session may do, where it is good, and how it ends.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::serving::login::{
    browser::{Browser, SESSION},
    provider::{Provider, SECRET},
};
use testkit::{
    serving::{ADMIN_TOKEN, LOCAL_SERVE, Serving},
    wait,
};

use super::support::{serving_with, with_login};

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_says_what_somebody_may_do_and_nobody_comes_in_without() {
    let provider = Provider::start().await;
    let (_service, program, serving) = serving_with(&provider).await;
    for (groups, role) in [
        (json!(["staff"]), Some("viewer")),
        (json!("duty"), Some("operator")),
        (json!(["staff", "root", "ops"]), Some("admin")),
        (json!(["Staff"]), None),
        (json!([]), None),
        (json!(null), None),
        (json!({"root": true}), None),
        (json!([["root"], 7, true]), None),
        (json!("staff, root"), None),
    ] {
        provider.says().claims = json!({ "groups": groups });
        let mut browser = Browser::default();
        let answer = browser.sign_in(&serving, &provider, "/").await;
        let Some(role) = role else {
            assert_eq!(
                (answer.status.as_u16(), answer.header("x-seedbed-error")),
                (403, "no_role"),
                "{groups}"
            );
            let page = String::from_utf8_lossy(&answer.body).into_owned();
            assert!(
                page.contains("You have no access") && page.contains("ada@example.com"),
                "{page}"
            );
            assert!(!browser.cookies.contains_key(SESSION));
            continue;
        };
        assert_eq!(answer.status, 303, "{groups}: {answer:?}");
        let session = browser.session(&serving).await;
        assert_eq!(session["role"], role);
        assert_eq!(session["actor"], "user ada@example.com (ada-1)");
        assert_eq!(session["login"], true);
        assert_eq!(browser.get(&serving, "/api/overview").await.status, 200);
        let csrf = session["csrf"].as_str().unwrap().to_owned();
        // The table of routes is the same for tokens, and tested whole with those.
        for (path, least) in [("/api/delivery", 1), ("/api/snapshots/withdraw", 2)] {
            let rank = ["viewer", "operator", "admin"]
                .iter()
                .position(|of| *of == role)
                .unwrap();
            let answer = browser
                .post(&serving, path, Some(&csrf), json!({"unknown": 1}))
                .await;
            let expected = if rank < least { 403 } else { 400 };
            assert_eq!(answer.status, expected, "{role} {path}: {answer:?}");
        }
        assert_eq!(
            browser
                .post(&serving, "/api/session/end", Some(&csrf), json!({}))
                .await
                .status,
            204
        );
        assert!(!browser.cookies.contains_key(SESSION));
    }
    let log = serving
        .admin("/api/audit?limit=100&search=session")
        .await
        .json();
    let entries = log["entries"].as_array().unwrap();
    let of = |action: &str, outcome: &str| {
        let is = |entry: &&Value| entry["action"] == action && entry["outcome"] == outcome;
        entries.iter().filter(is).count()
    };
    assert_eq!(of("session.start", "done"), 3, "{log}");
    assert_eq!(of("session.start", "refused (no role)"), 6, "{log}");
    assert_eq!(of("session.end", "done"), 3, "{log}");
    assert!(
        entries
            .iter()
            .all(|entry| entry["actor"] == "user ada@example.com (ada-1)"
                && entry["origin"] == "127.0.0.1")
    );
    let settings = program.run(&["config", "--json"]).await;
    assert!(
        !settings.output.contains(SECRET) && settings.output.contains("login.client_secret"),
        "{settings}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_id_token_lacks_is_looked_for_at_userinfo_of_the_same_person() {
    let provider = Provider::start().await;
    let (_service, mut program) = with_login(&provider).await;
    program.set("LOGIN__ROLE_CLAIM", "realm_access.roles");
    // A provider that wants the secret in the body.
    provider.says().document =
        json!({"token_endpoint_auth_methods_supported": ["client_secret_post"]});
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    provider.says().claims = json!({"email_verified": false, "email": "root@example.com"});
    for (userinfo, role, code) in [
        (
            json!({"sub": "ada-1", "realm_access": {"roles": ["root"]}}),
            json!("admin"),
            "",
        ),
        (
            json!({"sub": "eve-2", "realm_access": {"roles": ["root"]}}),
            json!(null),
            "login_token",
        ),
        (
            json!({"realm_access": {"roles": ["root"]}}),
            json!(null),
            "login_token",
        ),
        (
            json!({"sub": "ada-1", "groups": ["root"]}),
            json!(null),
            "no_role",
        ),
    ] {
        provider.says().userinfo = userinfo;
        let mut browser = Browser::default();
        let answer = browser.sign_in(&serving, &provider, "/").await;
        assert_eq!(answer.header("x-seedbed-error"), code, "{answer:?}");
        let session = browser.session(&serving).await;
        assert_eq!(session["role"], role);
        // An address that nobody has verified is nobody's name.
        assert!(
            role.is_null() || session["actor"] == "user ada-1",
            "{session}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_changes_something_only_from_a_page_of_this_server() {
    let provider = Provider::start().await;
    let (_service, _program, serving) = serving_with(&provider).await;
    let mut browser = Browser::default();
    browser.sign_in(&serving, &provider, "/").await;
    let mut other = Browser::default();
    other.sign_in(&serving, &provider, "/").await;
    let csrf = browser.session(&serving).await["csrf"]
        .as_str()
        .unwrap()
        .to_owned();
    let of_other = other.session(&serving).await["csrf"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_ne!(csrf, of_other);
    let set = json!({"share": "50%"});
    for wrong in [None, Some(""), Some(of_other.as_str())] {
        for path in ["/api/delivery", "/api/session/end", "/api/tokens"] {
            let answer = browser.post(&serving, path, wrong, set.clone()).await;
            assert_eq!(answer.refusal(), (403, "csrf".to_owned()), "{path}");
        }
    }
    let from_elsewhere = browser
        .request(&serving, Method::POST, "/api/delivery")
        .header("x-seedbed-csrf", &csrf)
        .header("sec-fetch-site", "same-site")
        .json(&set);
    assert_eq!(browser.send(from_elsewhere).await.refusal().1, "csrf");
    assert_eq!(
        browser.get(&serving, "/api/overview").await.status,
        200,
        "it is still in"
    );
    let answer = browser
        .post(
            &serving,
            "/api/tokens",
            Some(&csrf),
            json!({"name": "mine", "role": "operator"}),
        )
        .await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.json()["madeBy"], "user ada@example.com (ada-1)");
    let above = json!({"name": "more", "role": "admin"});
    assert_eq!(
        browser
            .post(&serving, "/api/tokens", Some(&csrf), above)
            .await
            .status,
        403
    );
    // Two cookies of that name: one of them may be somebody else's.
    let session = browser.cookies[SESSION].clone();
    let two = format!("{SESSION}={session}; {SESSION}={session}");
    assert_eq!(
        serving
            .get_with("/api/overview", &[("cookie", &two)])
            .await
            .status,
        401
    );
    let other_name = format!("seedbed-session={session}");
    assert_eq!(
        serving
            .get_with("/api/overview", &[("cookie", &other_name)])
            .await
            .status,
        401
    );
    // A token beside a cookie counts alone.
    let both = format!("{SESSION}={session}");
    let answer = serving
        .get_with(
            "/api/overview",
            &[("cookie", &both), ("authorization", "Bearer seedbed_wrong")],
        )
        .await;
    assert_eq!(answer.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_out_is_out_everywhere_and_a_new_login_ends_the_one_before() {
    let provider = Provider::start().await;
    let (_service, mut program) = with_login(&provider).await;
    program.set("LOGIN__LIFETIME", "5s");
    let first = Serving::start(&program, &LOCAL_SERVE).await;
    wait::for_some("the stores are seeded", async || {
        let runs = first.admin("/api/runs?limit=1").await.json();
        runs["runs"][0]["finishedAt"].is_string().then_some(())
    })
    .await;
    let mut browser = Browser::default();
    browser.sign_in(&first, &provider, "/").await;
    let before = browser.clone();
    browser.sign_in(&first, &provider, "/").await;
    assert_ne!(before.cookies[SESSION], browser.cookies[SESSION]);
    assert_eq!(
        before.clone().get(&first, "/api/overview").await.status,
        401
    );
    let live = browser
        .send(browser.request(&first, Method::GET, "/api/overview"))
        .await;
    assert_eq!(live.status, 200);
    // Nobody has to sign out: it ends by itself.
    let expired = browser.clone();
    wait::for_some("the session has expired", async || {
        let answer = expired.clone().get(&first, "/api/overview").await;
        (answer.status == 401).then_some(())
    })
    .await;
    assert_eq!(
        first.get("/api/overview", Some(ADMIN_TOKEN)).await.status,
        200
    );
    let answer = expired
        .clone()
        .post(&first, "/api/session/end", None, json!({}))
        .await;
    assert_eq!(answer.status, 204, "who is out already is out");
}
