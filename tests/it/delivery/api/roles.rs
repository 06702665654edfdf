//! What each role may do: every route of the document and of the dashboard, asked by nobody, by each role, and with what is revoked.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{
    program::Program,
    serving::{ADMIN_TOKEN, Answer, LOCAL_SERVE, Serving},
    wait,
};

use super::support::{ended, numbered, service_with};

const ROLES: [&str; 3] = ["viewer", "operator", "admin"];

/// What must never be for less than this role, whatever the table says.
const AT_LEAST: [(&str, &str); 9] = [
    ("POST /api/snapshots/withdraw", "admin"),
    ("POST /api/stores/{store_id}/forget", "admin"),
    ("POST /api/stores/{store_id}/allow", "admin"),
    ("POST /api/runs", "operator"),
    ("POST /api/delivery", "operator"),
    ("POST /api/stores/{store_id}/withdraw", "operator"),
    ("POST /api/tokens", "operator"),
    ("GET /api/audit", "operator"),
    ("GET /api/overview", "viewer"),
];

/// A token that the command makes.
async fn token(program: &Program, name: &str, role: &str) -> String {
    let arguments = ["tokens", "create", name, "--role", role, "--json"];
    let made = program.run(&arguments).await;
    assert_eq!(made.code, Some(0), "{made}");
    let made = made.objects();
    assert_eq!(made[0]["role"], role);
    made[0]["token"].as_str().unwrap().to_owned()
}

/// The routes of the document that are no device's, with the role that each says it needs.
async fn routes(serving: &Serving) -> Vec<(Method, String, Option<String>)> {
    let document = serving.get("/api/openapi.json", None).await.json();
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if path.starts_with("/api/") || path == "/metrics" {
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                let role = operation["x-seedbed-role"].as_str().map(str::to_owned);
                routes.push((method, path.clone(), role));
            }
        }
    }
    routes
}

async fn asked(serving: &Serving, method: &Method, path: &str, token: Option<&str>) -> Answer {
    let path = path
        .replace("{run_id}", "0190a6b2-6c3e-7c5a-9d3f-2f1f5a1c7e11")
        .replace("{store_id}", "nowhere")
        .replace("{key}", "0123456789")
        .replace("{id}", "nothing");
    // Never what it could do harm with.
    let body = (*method == Method::POST).then(|| json!({"unknown": true}));
    serving.send(method.clone(), &path, token, body).await
}

fn rank(role: &str) -> usize {
    ROLES.iter().position(|name| *name == role).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_route_is_for_the_role_that_it_names_and_above_and_for_nobody_else() {
    let (_service, program) = service_with(&numbered(1)).await;
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    ended(&serving).await;
    let mut tokens = Vec::new();
    for role in ROLES {
        tokens.push(token(&program, role, role).await);
    }
    let routes = routes(&serving).await;
    let needed: BTreeMap<String, usize> = routes
        .iter()
        .filter_map(|(method, path, role)| Some((format!("{method} {path}"), rank(role.as_ref()?))))
        .collect();
    for (route, role) in AT_LEAST {
        assert!(needed[route] >= rank(role), "{route}");
    }
    assert!(routes.len() > 25, "{routes:?}");
    for (method, path, role) in &routes {
        let Some(role) = role else {
            assert!(
                path.starts_with("/api/session"),
                "{method} {path} is not in the table of roles"
            );
            continue;
        };
        let refused = asked(&serving, method, path, None).await;
        assert_eq!(
            refused.refusal(),
            (401, "unauthorized".to_owned()),
            "{path}"
        );
        let refused = asked(&serving, method, path, Some("seedbed_x")).await;
        assert_eq!(
            refused.refusal(),
            (401, "unauthorized".to_owned()),
            "{path}"
        );
        for (of, token) in ROLES.iter().zip(&tokens) {
            // The stream has no end.
            let answer = match path.as_str() {
                "/api/events" => head(&serving, path, token).await,
                _ => {
                    let answer = asked(&serving, method, path, Some(token)).await;
                    let code = (answer.status == 403).then(|| answer.refusal().1);
                    (answer.status.as_u16(), code)
                }
            };
            let is_allowed = rank(of) >= rank(role);
            match is_allowed {
                true => assert!(
                    answer.0 != 401 && answer.0 != 403,
                    "{of} {method} {path}: {answer:?}"
                ),
                false => assert_eq!(
                    answer,
                    (403, Some("wrong_role".to_owned())),
                    "{of} {method} {path}"
                ),
            }
        }
    }
    for file in ["/", "/assets/main.js", "/assets/style.css", "/api/docs/"] {
        assert_eq!(serving.get(file, None).await.status, 200, "{file}");
    }
    assert_eq!(
        serving.get("/api/session", None).await.json()["role"],
        Value::Null
    );
    for (role, token) in ROLES.iter().zip(&tokens) {
        let session = serving.get("/api/session", Some(token)).await.json();
        let actor = format!("token {role}");
        assert_eq!(
            (&session["actor"], &session["role"]),
            (&json!(actor), &json!(role))
        );
    }
    // Whoever is known and may not is in the audit log.
    let audit = serving
        .admin("/api/audit?search=token%20viewer")
        .await
        .json();
    let entries = audit["entries"].as_array().unwrap();
    assert!(
        entries
            .iter()
            .any(|entry| entry["action"] == "store.forget")
    );
    for entry in entries {
        assert_eq!(entry["outcome"], "refused (403)", "{entry}");
        assert_eq!(entry["origin"], "127.0.0.1");
    }
}

/// The status of an answer that goes on, and whose it is not.
async fn head(serving: &Serving, path: &str, token: &str) -> (u16, Option<String>) {
    let answer = serving.request(Method::GET, path).bearer_auth(token);
    let answer = answer.send().await.unwrap();
    (answer.status().as_u16(), None)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_makes_no_more_than_it_is_and_what_it_made_goes_with_it() {
    let (_service, mut program) = service_with(&numbered(1)).await;
    // Tokens alone open the door.
    program.unset("SERVE__ADMIN_TOKEN");
    let closed = Serving::start(&program, &LOCAL_SERVE).await;
    let refused = closed.get("/api/runs", None).await;
    assert_eq!(refused.refusal(), (403, "admin_disabled".to_owned()));
    let operator = token(&program, "deploy", "operator").await;
    let serving = closed;
    assert_eq!(serving.get("/api/runs", None).await.status, 401);
    let post = async |path: &str, token: &str, body: Value| {
        let body = Some(body);
        serving.send(Method::POST, path, Some(token), body).await
    };
    let above = json!({"name": "above", "role": "admin"});
    let above = post("/api/tokens", &operator, above).await;
    assert_eq!(above.refusal(), (403, "wrong_role".to_owned()));
    for bad in [
        json!({"name": "x", "role": "root"}),
        json!({"name": "x", "expires": "soon"}),
        json!({"name": "x", "expires": "0s"}),
    ] {
        let refused = post("/api/tokens", &operator, bad.clone()).await;
        assert_eq!(refused.status, 400, "{bad}");
    }
    let asked = json!({"name": "child", "role": "viewer", "expires": "never"});
    let child = post("/api/tokens", &operator, asked).await;
    assert_eq!(child.status, 201);
    let child = child.json();
    assert_eq!(child["madeBy"], "token deploy");
    assert!(
        child["expiresAt"].is_string(),
        "not after its maker: {child}"
    );
    let child = child["token"].as_str().unwrap().to_owned();
    assert_eq!(serving.get("/api/runs", Some(&child)).await.status, 200);

    // An operator sees what it has made, and no more.
    let listed = serving.get("/api/tokens", Some(&operator)).await.json();
    assert_eq!(listed["tokens"].as_array().unwrap().len(), 1);
    assert!(!listed.to_string().contains("hash"), "{listed}");
    let revoked = post("/api/tokens/deploy/revoke", &operator, json!({})).await;
    assert_eq!(revoked.refusal(), (404, "unknown_token".to_owned()));

    let revoked = program.run(&["tokens", "revoke", "deploy"]).await;
    assert_eq!(revoked.code, Some(0), "{revoked}");
    for token in [&operator, &child] {
        let refused = serving.get("/api/runs", Some(token)).await;
        // Nothing is left that is good.
        assert_eq!(refused.refusal(), (403, "admin_disabled".to_owned()));
    }
    let again = program.run(&["tokens", "revoke", "deploy"]).await;
    assert_eq!(again.code, Some(2), "{again}");
    let list = program.run(&["tokens", "list", "--all"]).await;
    assert!(list.output.contains("revoked"), "{list}");
    // The tokens themselves are in no log, no list and no entry of the audit log.
    let audit = program.run(&["audit", "--json"]).await;
    assert!(audit.output.contains("token.create"), "{audit}");
    for token in [&operator, &child] {
        let secret = &token["seedbed_".len()..];
        for (place, text) in [
            ("log", serving.process.error()),
            ("list", list.output.clone()),
            ("audit", audit.output.clone()),
        ] {
            assert!(!text.contains(secret), "{place}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_guesses_waits_and_a_use_is_recorded() {
    let (_service, mut program) = service_with(&numbered(1)).await;
    program.set("SERVE__RATE_LIMIT", "50");
    program.set("SERVE__BEHIND_PROXY", "true");
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    let right = token(&program, "right", "viewer").await;
    let asked = async |address: &str, token: &str| {
        let authorization = format!("Bearer {token}");
        let headers = [
            ("x-forwarded-for", address),
            ("authorization", authorization.as_str()),
        ];
        serving.get_with("/api/runs?limit=1", &headers).await
    };
    let mut refused = None;
    for number in 0..60 {
        let answer = asked("192.0.2.1", &format!("a guess that is wrong {number}")).await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
        assert_eq!(answer.status, 401);
    }
    let refused = refused.expect("60 wrong tokens are too many");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    // Also with the right one: or guessing would go on, and see which one is answered.
    assert_eq!(asked("192.0.2.1", ADMIN_TOKEN).await.status, 429);
    assert_eq!(asked("192.0.2.2", &right).await.status, 200);
    wait::for_some("the use is recorded", async || {
        let authorization = format!("Bearer {ADMIN_TOKEN}");
        let headers = [
            ("x-forwarded-for", "192.0.2.3"),
            ("authorization", authorization.as_str()),
        ];
        let tokens = serving.get_with("/api/tokens", &headers);
        let tokens = tokens.await.json();
        tokens["tokens"][0]["lastUsedAt"].is_string().then_some(())
    })
    .await;
}
