//! The server answers as its OpenAPI document says, also to invalid requests.

use std::process::Command;

use testkit::{
    machine::tools,
    serving::{ADMIN_TOKEN, LOCAL_SERVE, Serving},
};

use super::support::{ended, numbered, service_with};

/// All that says something of the answers. Left out is that what the document allows is never refused: it cannot say
/// what `after` is.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance,negative_data_rejection,unsupported_method,ignored_auth";

#[tokio::test(flavor = "multi_thread")]
async fn no_request_gets_an_answer_that_the_document_does_not_have() {
    let (_service, program) = service_with(&numbered(5)).await;
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    ended(&serving).await;
    let document = serving.get("/api/openapi.json", None).await.json();
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 21, "{:?}", paths.keys());
    assert!(paths["/reports"]["post"].is_object());
    // It may be left out, and is no null.
    let body = &paths["/api/runs"]["post"]["requestBody"];
    let schema = &body["content"]["application/json"]["schema"];
    assert!(
        schema["$ref"].is_string() && body["required"] != true,
        "{body}"
    );
    for token in [Some(ADMIN_TOKEN), None] {
        let mut command = Command::new(tools("schemathesis/bin/schemathesis"));
        command
            .arg("run")
            .arg(format!("{}/api/openapi.json", serving.url))
            // Its answer does not end.
            .args(["--exclude-path", "/api/events"])
            .args([
                "--phases",
                "examples,coverage,fuzzing",
                "--max-examples",
                "15",
            ])
            .args(["--seed", "1", "--request-timeout", "30", "--checks", CHECKS])
            .args(["--no-color", "--continue-on-failure"])
            .current_dir(program.path("."));
        if let Some(token) = token {
            command.args(["--header", &format!("Authorization: Bearer {token}")]);
        }
        let ended = tokio::task::spawn_blocking(move || command.output())
            .await
            .unwrap();
        let ended = ended.expect("tests/run.sh local installs schemathesis");
        let report = String::from_utf8_lossy(&ended.stdout);
        assert!(
            ended.status.success(),
            "{report}\n{}",
            serving.process.error()
        );
        assert!(
            report.contains("Test cases:"),
            "it has asked nothing: {report}"
        );
    }
    let log = serving.process.error();
    assert!(!log.contains("ERROR"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_shows_the_document_with_nothing_from_elsewhere() {
    let (_service, program) = service_with(&numbered(1)).await;
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    let page = serving.get("/api/docs/", None).await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"));
    let html = String::from_utf8(page.body).unwrap();
    assert!(
        !html.contains("//cdn") && !html.contains("https://"),
        "{html}"
    );
    for file in [
        "swagger-ui.css",
        "swagger-ui-bundle.js",
        "swagger-initializer.js",
    ] {
        assert!(html.contains(file), "{html}");
        assert_eq!(
            serving.get(&format!("/api/docs/{file}"), None).await.status,
            200
        );
    }
}
