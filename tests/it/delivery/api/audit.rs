//! The audit log: who did what, by the API and from a shell.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::serving::{LOCAL_SERVE, Serving};

use super::support::{ended, numbered, service_with};

async fn entries(serving: &Serving, search: &str) -> Vec<Value> {
    let path = format!("/api/audit?search={search}");
    let audit = serving.admin(&path).await.json();
    audit["entries"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_changed_is_recorded_with_who_from_where_and_what_came_of_it() {
    let (_service, mut program) = service_with(&numbered(2)).await;
    program.set("SERVE__BEHIND_PROXY", "true");
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    let run = ended(&serving).await;
    let run_id = run["runId"].as_str().unwrap();
    let asked = serving
        .request(Method::POST, "/api/runs")
        .bearer_auth(testkit::serving::ADMIN_TOKEN)
        .header("x-forwarded-for", "192.0.2.7")
        .json(&json!({"stores": ["store-0002"], "full": true}))
        .send()
        .await
        .unwrap();
    assert_eq!(asked.status(), 202);
    let refused = serving
        .post(&format!("/api/runs/{run_id}/cancel"), None)
        .await;
    assert_eq!(refused.status, 409);
    let seeded = serving.post("/api/stores/store-0001/seed", None).await;
    assert_eq!(seeded.status, 202);
    // Reading is no action, and neither is what nobody was let in for.
    serving.admin("/api/stores").await;
    let stranger = serving
        .send(Method::POST, "/api/runs", Some("x"), None)
        .await;
    assert_eq!(stranger.status, 401);

    let all = entries(&serving, "").await;
    assert_eq!(all.len(), 4, "{all:?}");
    let named = |entry: &Value| {
        let text = |name: &str| entry[name].as_str().unwrap_or("-").to_owned();
        (
            text("actor"),
            text("action"),
            text("subject"),
            text("outcome"),
        )
    };
    let is = |entry: &Value, action: &str, subject: &str, outcome: &str| {
        let expected = ("admin token", action, subject, outcome);
        let expected = (
            expected.0.to_owned(),
            expected.1.to_owned(),
            expected.2.to_owned(),
            expected.3.to_owned(),
        );
        assert_eq!(named(entry), expected);
    };
    is(&all[0], "store.seed", "store-0001", "done");
    is(&all[1], "run.cancel", run_id, "refused (409)");
    is(&all[2], "run.start", "-", "done");
    assert_eq!(all[2]["origin"], "192.0.2.7");
    let detail: Value = serde_json::from_str(all[2]["detail"].as_str().unwrap()).unwrap();
    assert_eq!(detail, json!({"stores": ["store-0002"], "full": true}));
    // The process that serves was started by somebody, too.
    let started = &all[3];
    assert_eq!(started["action"], "run.start");
    assert!(
        started["origin"].as_str().unwrap().starts_with("shell"),
        "{started}"
    );
    assert_eq!(entries(&serving, "store-0001").await.len(), 1);
    assert_eq!(serving.admin("/api/audit?limit=0").await.status, 400);
    assert_eq!(serving.get("/api/audit", None).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_recorded_with_the_account_that_the_system_knows() {
    let (_service, mut program) = service_with(&numbered(1)).await;
    program.set_variable("USER", "somebody-else");
    program.set_variable("SUDO_USER", "ann");
    let local = program.run(&["local", "--stores", "stores.ndjson"]).await;
    assert_eq!(local.code, Some(0), "{local}");
    assert_eq!(program.run(&["gc"]).await.code, Some(0));
    assert_eq!(program.run(&["gc", "--dry-run"]).await.code, Some(0));
    let audit = program.run(&["audit", "--json"]).await;
    let audit = audit.objects();
    let actions: Vec<_> = audit
        .iter()
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["gc", "run.start"]);
    let id = std::process::Command::new("id")
        .arg("-un")
        .output()
        .unwrap();
    let name = String::from_utf8(id.stdout).unwrap();
    let expected = format!("{} (ann by sudo)", name.trim());
    assert_eq!(audit[0]["actor"], expected);
    assert_eq!(audit[0]["outcome"], "done");
    let shown = program.run(&["audit", "--search", "run.start"]).await;
    assert!(
        shown.output.contains("run.start") && !shown.output.contains("gc"),
        "{shown}"
    );
}
