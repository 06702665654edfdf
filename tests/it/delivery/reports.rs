//! `POST /reports`: who may report a first launch, what a report may hold, and what is kept of it.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{
    machine::run_node_tests,
    powersync::PowerSync,
    program::Program,
    serving::{Answer, LOCAL_SERVE, Serving, client_token, launch_report, prepared, report_path},
};

async fn server(change: impl FnOnce(&mut Program)) -> (PowerSync, Program, Serving) {
    let (service, mut program) = prepared(&["1", "2"], 1).await;
    change(&mut program);
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    (service, program, serving)
}

/// All that is in the files of the catalog, as far as it is text.
fn catalog_of(program: &Program) -> String {
    let read = |name| std::fs::read(program.path(name)).unwrap_or_default();
    let files = ["seedbed-data/catalog.db", "seedbed-data/catalog.db-wal"]
        .map(read)
        .concat();
    String::from_utf8_lossy(&files).into_owned()
}

/// What is kept of reports, as text. Elsewhere in the catalog is where the service is.
fn reports_of(program: &Program) -> String {
    let catalog = rusqlite::Connection::open(program.path("seedbed-data/catalog.db")).unwrap();
    let mut reports = catalog.prepare("SELECT * FROM reports").unwrap();
    let columns = reports.column_count();
    let text = |row: &rusqlite::Row<'_>| {
        let values = (0..columns).map(|column| Ok(format!("{:?}", row.get_ref(column)?)));
        values.collect::<Result<Vec<_>, rusqlite::Error>>()
    };
    let rows: Vec<_> = reports.query_map([], text).unwrap().collect();
    format!("{rows:?}")
}

/// A report with another value of `field`; `null` removes nothing.
fn with(field: &str, value: Value) -> Value {
    let mut report = launch_report(7);
    report[field] = value;
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launch_is_reported_by_a_client_of_the_store_and_counts_once() {
    let (_service, _program, serving) = server(|_| {}).await;
    let send = async |token: Option<&str>| {
        let path = report_path("1");
        serving
            .send(Method::POST, &path, token, Some(launch_report(1)))
            .await
    };
    assert_eq!(send(None).await.refusal(), (401, "unauthorized".to_owned()));
    let other = client_token(json!({"store_id": "2"}));
    assert_eq!(
        send(Some(&other)).await.refusal(),
        (403, "wrong_store".to_owned())
    );
    for _ in 0..3 {
        let answer = serving.report("1", launch_report(1)).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
    }
    // What a package knows nothing of may be left out, or null.
    let mut least = launch_report(2);
    for field in [
        "sdk", "package", "core", "form", "encoding", "reason", "resumes",
    ] {
        least.as_object_mut().unwrap().remove(field);
    }
    least["outcome"] = json!("sync");
    least["seconds"] = json!({});
    assert_eq!(serving.report("1", least).await.status, 204);

    let launches = serving.admin("/api/launches?days=1").await.json();
    let groups = launches["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 2, "{launches}");
    let installed = groups.iter().find(|group| group["outcome"] == "installed");
    let installed = installed.unwrap();
    assert_eq!(installed["launches"], 1);
    assert_eq!(installed["p95Millis"], 12_250);
    assert_eq!(installed["bytes"], 13_400_000);
    assert_eq!(launches["days"][0]["launches"], 2);
    let csv = serving.admin("/api/launches.csv").await;
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    let text = String::from_utf8(csv.body).unwrap();
    assert!(
        text.starts_with("platform,outcome,reason,form,encoding,launches,"),
        "{text}"
    );
    assert!(
        text.contains("react-native,installed,,compact,gzip,1,0,13400000,12250,12250"),
        "{text}"
    );
    assert_eq!(serving.get("/api/launches", None).await.status, 401);
    assert_eq!(serving.admin("/api/launches?days=0").await.status, 400);
    let metrics = serving.admin("/metrics").await;
    let metrics = String::from_utf8(metrics.body).unwrap();
    let counted = metrics
        .lines()
        .filter(|line| line.starts_with("seedbed_launches_total{"));
    assert_eq!(counted.count(), 2, "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_of_the_client_packages_is_taken_as_they_send_it() {
    let (_service, _program, serving) = server(|_| {}).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/reports");
    let token = client_token(json!({"store_id": "1"}));
    let variables = [
        ("REPORT_URL", Path::new(&serving.url)),
        ("REPORT_TOKEN", Path::new(&token)),
    ];
    run_node_tests(&folder, "report.test.js", variables).await;
    let launches = serving.admin("/api/launches").await.json();
    let groups = launches["groups"].as_array().unwrap();
    let of = |outcome: &str| {
        let group = groups.iter().find(|group| group["outcome"] == outcome);
        group.map(|group| (group["launches"].clone(), group["reason"].clone()))
    };
    assert_eq!(of("installed"), Some((json!(1), json!(null))), "{launches}");
    assert_eq!(
        of("sync"),
        Some((json!(1), json!("no_snapshot"))),
        "{launches}"
    );
    assert_eq!(
        of("cancelled"),
        Some((json!(1), json!("cancelled"))),
        "{launches}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_holds_words_of_fixed_lists_and_numbers_and_nothing_else() {
    let (_service, program, serving) = server(|_| {}).await;
    let message = |answer: &Answer| {
        assert_eq!(answer.refusal(), (400, "invalid_request".to_owned()));
        answer.json()["message"].as_str().unwrap().to_owned()
    };
    for (field, value) in [
        ("note", json!("anything that a person wrote")),
        ("user", json!("anna@example.com")),
        ("v", json!(2)),
        ("launch", json!("anna@example.com")),
        // A time and a machine's address.
        ("launch", json!("c232ab00-9414-11ec-b3c8-9f6bdeced846")),
        ("platform", json!("Anna's phone")),
        ("outcome", json!("great")),
        ("reason", json!("it rained")),
        ("form", json!("oval")),
        ("encoding", json!("brotli")),
        ("bytes", json!(-1)),
        ("bytes", json!("13 MB")),
        ("resumes", json!(1.5)),
        ("seconds", json!([1, 2, 3, 4])),
        ("seconds", json!({"dreaming": 1})),
        ("seconds", json!({"waiting": -1})),
        ("seconds", json!({"waiting": 1e300})),
        ("sdk", json!("anna@example.com")),
        ("core", json!("0.5.3 with a longer story")),
        ("package", json!("1.2.3-0123456789012345678901234567890")),
    ] {
        let answer = serving.report("1", with(field, value.clone())).await;
        let said = message(&answer);
        let named = value.as_object().and_then(|of| of.keys().next());
        let named = named.map_or(field, |key| key);
        let about = [
            field,
            named,
            "variant",
            "UUID",
            "invalid type",
            "invalid value",
        ];
        assert!(
            about.iter().any(|name| said.contains(name)),
            "{field}: {said}"
        );
    }
    let said = message(&serving.report("1", with("note", json!(1))).await);
    assert!(said.contains("unknown field `note`"), "{said}");
    let large = with("note", json!("x".repeat(4_100)));
    let answer = serving.report("1", large).await;
    assert_eq!(answer.refusal(), (413, "too_large".to_owned()));
    let token = client_token(json!({"store_id": "1"}));
    let text = serving
        .request(Method::POST, &report_path("1"))
        .bearer_auth(&token)
        .body("hello")
        .send()
        .await
        .unwrap();
    assert_eq!(text.status(), 415);

    // Of what is taken, neither who sent it nor what is behind a version's numbers is kept.
    assert_eq!(serving.report("1", launch_report(7)).await.status, 204);
    let kept = catalog_of(&program);
    for secret in ["beta", "8f2a4bc1", "anna@", &token] {
        assert!(!kept.contains(secret), "{secret} is kept");
    }
    assert!(!reports_of(&program).contains("127.0.0.1"));
    assert!(kept.contains("00000000-0000-4000-8000-000000000007"));
    assert!(kept.contains("0.2.0") && kept.contains("0.5.3"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_reports_too_often_is_slowed_down_and_pages_of_chosen_origins_may_report() {
    let (_service, _program, serving) = server(|program| {
        program.set("REPORTS__PER_TOKEN", "2");
        program.set("SERVE__CORS_ORIGINS", "https://app.example.com");
    })
    .await;
    let token = client_token(json!({"store_id": ["1", "2"]}));
    let path = report_path("1");
    let send = async |number| {
        let report = Some(launch_report(number));
        serving
            .send(Method::POST, &path, Some(&token), report)
            .await
    };
    assert_eq!(send(1).await.status, 204);
    assert_eq!(send(2).await.status, 204);
    let refused = send(3).await;
    assert_eq!(refused.refusal(), (429, "too_many_reports".to_owned()));
    assert!(refused.header("retry-after").parse::<u32>().unwrap() > 60);
    assert_eq!(serving.report("2", launch_report(3)).await.status, 204);
    let preflight = serving
        .request(Method::OPTIONS, &path)
        .header("origin", "https://app.example.com")
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,content-type",
        )
        .send()
        .await
        .unwrap();
    let headers = preflight.headers();
    assert_eq!(
        headers["access-control-allow-origin"],
        "https://app.example.com"
    );
    let methods = headers["access-control-allow-methods"].to_str().unwrap();
    assert!(methods.contains("POST"), "{methods}");
    let allowed = headers["access-control-allow-headers"].to_str().unwrap();
    assert!(allowed.contains("content-type"), "{allowed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_taken_where_settings_say_so_or_callers_have_no_tokens() {
    for (name, value) in [
        ("REPORTS__ACCEPT", "false"),
        ("DOWNLOAD__ANONYMOUS", "true"),
    ] {
        let (_service, _program, serving) = server(|program| {
            if name == "DOWNLOAD__ANONYMOUS" {
                program.unset("DOWNLOAD__SECRET");
            }
            program.set(name, value);
        })
        .await;
        let answer = serving.report("1", launch_report(1)).await;
        assert_eq!(
            answer.refusal(),
            (403, "reports_disabled".to_owned()),
            "{name}"
        );
    }
    let (_service, mut program) = prepared(&["1"], 1).await;
    program.set("REPORTS__PER_STORE", "0");
    let refused = program.run(&LOCAL_SERVE).await;
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(refused.error.contains("reports.per_store"), "{refused}");
}
