//! A provider that says what it should not, and others who interfere.

use serde_json::{Value, json};
use testkit::serving::login::{
    browser::{Browser, LOGIN, SESSION, state_of},
    provider::{
        Provider, REDIRECT, SECRET, Signer, by_secret, changed, confused, es256, of_another, rs256,
        unsigned,
    },
};
use testkit::serving::{Answer, Serving, now};

use super::support::serving_with;

fn refused(answer: &Answer, code: &str) {
    let text = String::from_utf8_lossy(&answer.body);
    assert_eq!(answer.header("x-seedbed-error"), code, "{text}");
    assert!(answer.status.is_client_error() || answer.status.is_server_error());
    assert!(
        answer.header("content-type").starts_with("text/html"),
        "{text}"
    );
    assert!(text.contains("<h1>") && !text.contains(SECRET), "{text}");
}

/// Nobody is in, whatever the browser has got.
async fn is_out(browser: &mut Browser, serving: &Serving) {
    assert!(!browser.cookies.contains_key(SESSION));
    assert!(
        !browser.cookies.contains_key(LOGIN),
        "a login that is over stays"
    );
    assert_eq!(browser.session(serving).await["role"], Value::Null);
    assert_eq!(
        browser.get(serving, "/api/overview").await.refusal(),
        (401, "unauthorized".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_id_token_but_one_for_this_login_of_this_server_lets_anybody_in() {
    let provider = Provider::start().await;
    let (_service, _program, serving) = serving_with(&provider).await;
    let wrong: Vec<(&str, Value, Signer)> = vec![
        (
            "another issuer",
            json!({"iss": "https://evil.example.com"}),
            es256,
        ),
        (
            "an issuer with a slash more",
            json!({"iss": format!("{}/", provider.url)}),
            es256,
        ),
        ("no issuer", json!({"iss": null}), es256),
        ("another audience", json!({"aud": "another"}), es256),
        (
            "other audiences",
            json!({"aud": ["another", "third"]}),
            es256,
        ),
        ("no audience", json!({"aud": null}), es256),
        (
            "several audiences without azp",
            json!({"aud": ["seedbed", "another"]}),
            es256,
        ),
        ("given to another party", json!({"azp": "another"}), es256),
        ("another nonce", json!({"nonce": "of another login"}), es256),
        ("no nonce", json!({"nonce": null}), es256),
        ("expired", json!({"exp": now() - 60}), es256),
        ("without an end", json!({"exp": null}), es256),
        ("not valid yet", json!({"nbf": now() + 600}), es256),
        ("of the future", json!({"iat": now() + 600}), es256),
        ("without its time", json!({"iat": null}), es256),
        ("without a person", json!({"sub": null}), es256),
        ("of an empty person", json!({"sub": " "}), es256),
        ("not signed", json!({}), unsigned),
        ("signed with the public key", json!({}), confused),
        ("signed with the client's secret", json!({}), by_secret),
        ("signed by another", json!({}), of_another),
        ("changed", json!({}), changed),
        ("no token", json!({}), |_| "nonsense".to_owned()),
    ];
    for (what, claims, sign) in wrong {
        let mut browser = Browser::default();
        provider.says().claims = claims;
        provider.says().sign = sign;
        let answer = browser.sign_in(&serving, &provider, "/").await;
        assert_eq!(answer.status, 403, "{what}: {answer:?}");
        refused(&answer, "login_token");
        is_out(&mut browser, &serving).await;
    }
    // The same provider is believed when it says what it should, with each of its keys.
    for sign in [es256 as Signer, rs256] {
        provider.says().claims = json!({"aud": ["seedbed", "another"], "azp": "seedbed"});
        provider.says().sign = sign;
        let mut browser = Browser::default();
        let answer = browser.sign_in(&serving, &provider, "/").await;
        assert_eq!(answer.status, 303, "{answer:?}");
        assert_eq!(browser.session(&serving).await["role"], "operator");
    }
    let (documents, keys) = provider.says().fetched;
    assert_eq!((documents, keys), (1, 1), "they are kept");
    let log = serving.process.error();
    assert!(
        log.contains("a login was refused") && !log.contains(SECRET),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_ends_once_and_in_the_browser_in_which_it_began() {
    let provider = Provider::start().await;
    let (_service, _program, serving) = serving_with(&provider).await;
    let mut own = Browser::default();
    let asked = own.begin(&serving, "/").await;
    let sent: Vec<_> = asked
        .query_pairs()
        .filter(|(name, _)| name == "redirect_uri")
        .collect();
    assert_eq!(sent, [("redirect_uri".into(), REDIRECT.into())]);
    assert!(
        asked
            .as_str()
            .starts_with(&format!("{}/authorize?tenant=1&", provider.url))
    );
    let (code, state) = (provider.code_for(&asked), state_of(&asked));

    // Somebody else's login in this browser, and this login in somebody else's.
    let mut other = Browser::default();
    refused(
        &other
            .come_back(&serving, &[("code", &code), ("state", &state)])
            .await,
        "login_state",
    );
    is_out(&mut other, &serving).await;
    other.begin(&serving, "/").await;
    refused(
        &other
            .come_back(&serving, &[("code", &code), ("state", &state)])
            .await,
        "login_state",
    );
    is_out(&mut other, &serving).await;
    let mut two = own.clone();
    for parameters in [
        &[("code", code.as_str())][..],
        &[("code", code.as_str()), ("state", "")],
        &[("code", code.as_str()), ("state", "of nobody")],
    ] {
        let mut browser = own.clone();
        refused(
            &browser.come_back(&serving, parameters).await,
            "login_state",
        );
        is_out(&mut browser, &serving).await;
    }
    let mut browser = own.clone();
    let twice = [
        ("code", code.as_str()),
        ("state", &state),
        ("state", &state),
    ];
    refused(
        &browser.come_back(&serving, &twice).await,
        "login_malformed",
    );
    let mut browser = own.clone();
    let elsewhere = [
        ("code", code.as_str()),
        ("state", &state),
        ("iss", "https://evil.example.com"),
    ];
    refused(
        &browser.come_back(&serving, &elsewhere).await,
        "login_issuer",
    );
    let mut browser = own.clone();
    let denied = [("error", "access_denied"), ("state", state.as_str())];
    refused(&browser.come_back(&serving, &denied).await, "login_denied");
    let mut browser = own.clone();
    let markup = [
        ("error", "<script>alert(1)</script>"),
        ("state", state.as_str()),
    ];
    let answer = browser.come_back(&serving, &markup).await;
    refused(&answer, "login_denied");
    assert!(!String::from_utf8_lossy(&answer.body).contains("<script"));

    // A provider that forgives when a code is used again: the login itself does not.
    provider.says().forgives_reuse = true;
    let good = [("code", code.as_str()), ("state", state.as_str())];
    assert_eq!(own.come_back(&serving, &good).await.status, 303);
    assert_eq!(own.session(&serving).await["role"], "operator");
    refused(&two.come_back(&serving, &good).await, "login_over");
    is_out(&mut two, &serving).await;
    // One that does not: it says so.
    provider.says().forgives_reuse = false;
    let mut browser = Browser::default();
    let asked = browser.begin(&serving, "/").await;
    let state = state_of(&asked);
    provider.code_for(&asked);
    refused(
        &browser
            .come_back(&serving, &[("code", "code-of-nobody"), ("state", &state)])
            .await,
        "login_code",
    );
    is_out(&mut browser, &serving).await;
    let log = serving.process.error();
    assert!(
        log.contains("invalid_grant") && !log.contains(&code),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_leads_to_a_page_of_this_server_and_to_nowhere_else() {
    let provider = Provider::start().await;
    let (_service, _program, serving) = serving_with(&provider).await;
    for (to, there) in [
        ("/", "/"),
        ("/#/stores/store-0001?x=1", "/#/stores/store-0001?x=1"),
        ("//evil.example.com", "/"),
        ("//evil.example.com/#/", "/"),
        ("/\\evil.example.com", "/"),
        ("/.//evil.example.com", "/"),
        ("https://evil.example.com/", "/"),
        ("javascript:alert(1)", "/"),
        ("/\r\nSet-Cookie: x=y", "/"),
    ] {
        let mut browser = Browser::default();
        let answer = browser.sign_in(&serving, &provider, to).await;
        assert_eq!(answer.status, 303, "{to}");
        assert_eq!(
            answer.header("location"),
            format!("https://seedbed.example.com{there}"),
            "{to}"
        );
        // Nor does a cookie that the browser's owner has written.
        let asked = browser.begin(&serving, "/").await;
        let (code, state) = (provider.code_for(&asked), state_of(&asked));
        let cookie = browser.cookies[LOGIN].clone();
        let (begun, _) = cookie.rsplit_once('.').unwrap();
        browser
            .cookies
            .insert(LOGIN.to_owned(), format!("{begun}.Ly9ldmls"));
        refused(
            &browser
                .come_back(&serving, &[("code", &code), ("state", &state)])
                .await,
            "login_state",
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_broken_lets_nobody_in_and_costs_little() {
    let provider = Provider::start().await;
    let (_service, _program, serving) = serving_with(&provider).await;
    let long = "x".repeat(300_000);
    let elsewhere = "http://evil.example.com/keys";
    for document in [
        json!({"issuer": "https://evil.example.com"}),
        json!({"issuer": format!("{}/", provider.url)}),
        json!({"token_endpoint": elsewhere}),
        json!({"jwks_uri": elsewhere}),
        json!({"userinfo_endpoint": "file:///etc/passwd"}),
        json!({"authorization_endpoint": "javascript:alert(1)"}),
        json!({"jwks_uri": null}),
        json!({"token_endpoint": "http://169.254.169.254/"}),
        json!({ "more": long }),
    ] {
        provider.says().document = document;
        refused(
            &Browser::default().get(&serving, "/login").await,
            "login_provider",
        );
    }
    // Nor is a redirect followed: what is sent is for this place alone.
    provider.says().document = json!({});
    provider.says().headers = vec![(reqwest::header::LOCATION, format!("{}/keys", provider.url))];
    refused(
        &Browser::default().get(&serving, "/login").await,
        "login_provider",
    );
    assert_eq!(provider.says().fetched.1, 0);
    provider.says().headers.clear();
    for (answer, code) in [
        ((500, json!({})), "login_provider"),
        ((200, json!({})), "login_provider"),
        (
            (200, json!({ "id_token": "x", "more": long })),
            "login_provider",
        ),
        ((302, json!({})), "login_provider"),
        ((401, json!({"error": "invalid_client"})), "login_code"),
        ((400, json!({"error": "<b>"})), "login_code"),
    ] {
        provider.says().token_answer = Some(answer);
        let mut browser = Browser::default();
        refused(&browser.sign_in(&serving, &provider, "/").await, code);
        is_out(&mut browser, &serving).await;
    }
    provider.says().token_answer = None;
    // It is asked again when it works again.
    assert_eq!(
        Browser::default()
            .sign_in(&serving, &provider, "/")
            .await
            .status,
        303
    );
}
