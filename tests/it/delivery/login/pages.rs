//! People sign in by a browser at oidc-provider, a certified provider, and decide what their role lets them: Node runs
//! `tests/dashboard/login.test.js`, which starts the provider.

use std::path::Path;

use serde_json::json;
use testkit::{
    machine::run_node_tests,
    servers::free_port,
    serving::{LOCAL_SERVE, Serving, client_token, now, prepared},
    wait,
};

const SECRET: &str = "a secret that the provider knows, too";

#[tokio::test(flavor = "multi_thread")]
async fn people_sign_in_at_a_real_provider_and_decide_what_their_role_lets_them() {
    let stores: Vec<String> = (1..=12).map(|n| format!("store-{n:04}")).collect();
    let (_service, mut program) = prepared(&stores, 5).await;
    let (own, provider) = (free_port(), free_port());
    let issuer = format!("http://localhost:{provider}");
    program.set("SERVE__LISTEN", format!("127.0.0.1:{own}"));
    program.set("LOGIN__ISSUER", &issuer);
    program.set("LOGIN__CLIENT_ID", "seedbed");
    program.set("LOGIN__CLIENT_SECRET", SECRET);
    let redirect = format!("http://localhost:{own}/login/callback");
    program.set("LOGIN__REDIRECT_URL", &redirect);
    program.set("LOGIN__SCOPES", "openid,email,groups");
    program.set("LOGIN__ADMINS", "seedbed-admins");
    program.set("LOGIN__OPERATORS", "seedbed-operators");
    program.set("LOGIN__VIEWERS", "staff");
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    wait::for_some("the stores are seeded", async || {
        let runs = serving.admin("/api/runs?limit=1").await.json();
        runs["runs"][0]["finishedAt"].is_string().then_some(())
    })
    .await;
    let client = client_token(json!({"store_id": "store-0001", "exp": now() + 3_600}));
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboard");
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    let url = format!("http://localhost:{own}");
    let variables = [
        ("DASHBOARD_URL", Path::new(&url)),
        ("DASHBOARD_ISSUER", Path::new(&issuer)),
        ("DASHBOARD_CLIENT_SECRET", Path::new(SECRET)),
        ("DASHBOARD_CLIENT_TOKEN", Path::new(&client)),
        ("DASHBOARD_MODULES", &target.join("test-tools/dashboard")),
        ("DASHBOARD_SCREENSHOTS", &target.join("screenshots")),
    ];
    run_node_tests(&package, "login.test.js", variables).await;
    let log = serving.process.error();
    assert!(!log.contains(SECRET), "{log}");
}
