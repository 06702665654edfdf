//! Traces and metrics of jobs, as a collector receives them.

use std::{collections::BTreeSet, path::Path, process::Command};

use serde_json::{Value, json};
use testkit::{
    cluster::{Cluster, RUN},
    collector::{Collector, Span},
    machine::leave_out,
    objects::ObjectServer,
    powersync::Fault,
    servers::{Jaeger, RabbitMq},
    serving::{SERVE, Serving, client_token, database_path},
};

use super::shapes::{
    BASE_STEPS, KILLED, SEEDED, UNCHANGED, after_root, assert_attributes, assert_failures,
    assert_no_orphan, assert_run, ended, failed_try, jobs, root, tree,
};

#[tokio::test(flavor = "multi_thread")]
async fn each_job_is_one_trace_whatever_happens_to_it() {
    let collector = Collector::start().await;
    let mut cluster = Cluster::start().await;
    let stores = cluster.add_stores(20, 5);
    report_to(&mut cluster, &collector);
    let faults = cluster.service.faults();
    // Beyond what a job sits out by itself.
    cluster.program.set("POWERSYNC__GIVE_UP_AFTER", "10s");
    let retry_after = Some("11".to_owned());
    let unavailable = Fault::Status {
        status: 503,
        retry_after,
    };
    faults.push_for("store-3", unavailable);
    let refused = Fault::Error {
        status: 400,
        code: "PSYNC_S2305",
    };
    faults.always_for("store-5", refused);
    faults.push_for("store-7", Fault::StallAfter { bytes: 100 });

    let run = cluster.program.start(&RUN);
    let doomed = cluster.program.start_worker();
    // All but the job that hangs and the one that waits for its second try.
    collector
        .wait_for("the other jobs have ended", |collector| {
            ended(&collector.spans()).len() == 18
        })
        .await;
    let hanging = |metrics: &testkit::powersync::Metrics| metrics.store("store-7").streams == 1;
    cluster.service.wait_for(hanging).await;
    assert!(doomed.kill().await);
    let worker = cluster.program.start_worker();
    assert_eq!(run.end().await.code, Some(1), "store-5 cannot succeed");
    worker.stop().await;
    collector
        .wait_for("everything has come", |collector| {
            ended(&collector.spans()).len() == 20
        })
        .await;

    let spans = collector.spans();
    assert_no_orphan(&spans);
    assert_run(&spans, 20);
    let jobs = jobs(&spans);
    assert_eq!(jobs.len(), 20, "one trace for each job, and only one");
    for store in &stores {
        let trace = &jobs[store.as_str()];
        let expected = match store.as_str() {
            "store-3" => after_root(&failed_try("retried")),
            "store-5" => root() + &failed_try("failed"),
            "store-7" => after_root(KILLED),
            _ => SEEDED.to_owned(),
        };
        assert_eq!(tree(trace), expected, "{store}");
        for span in trace.iter().filter(|span| span.name.ends_with("seed.jobs")) {
            assert_eq!(span.attribute("seedbed.store_id"), store);
            assert_eq!(span.attribute("messaging.system"), "rabbitmq");
            assert_eq!(span.attribute("messaging.destination.name"), "seed.jobs");
        }
    }
    assert_attributes(&jobs["store-1"]);
    assert_failures(&jobs);
    for secret in [
        cluster.service.secret(),
        "Token ",
        "Bearer ",
        "eyJ",
        "X-Amz-",
    ] {
        assert!(!collector.has_text(secret), "a secret was exported");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_shows_which_way_its_job_went_and_why() {
    let collector = Collector::start().await;
    let mut cluster = Cluster::start().await;
    // Small as the stores are, fetching a file of theirs costs more than downloading every row.
    cluster.program.set("WORKER__BASE_COST", "0");
    let stores = cluster.add_stores(3, 50);
    cluster.list(&stores[..2]);
    let worker = cluster.program.start_worker();
    assert_eq!(cluster.run(&[]).await.code, Some(0));
    worker.stop().await;
    cluster.service.put(
        "products",
        json!({ "id": "new", "store_id": "store-2", "name": "new" }),
    );
    cluster.list(&stores);
    report_to(&mut cluster, &collector);
    let worker = cluster.program.start_worker();
    assert_eq!(cluster.run(&[]).await.code, Some(0));
    worker.stop().await;
    collector
        .wait_for("everything has come", |collector| {
            ended(&collector.spans()).len() == 3
        })
        .await;
    let spans = collector.spans();
    assert_no_orphan(&spans);
    let jobs = jobs(&spans);
    let way = |store: &str| {
        let mut trace = jobs[store].iter();
        let process = trace.find(|span| span.name == "process seed.jobs").unwrap();
        (
            process.attribute("seedbed.way"),
            process.attribute("seedbed.why"),
        )
    };
    assert_eq!(way("store-1"), ("unchanged", ""));
    assert_eq!(way("store-2"), ("base", ""));
    assert_eq!(way("store-3"), ("full", "first"));
    assert_eq!(tree(&jobs["store-1"]), UNCHANGED);
    let compact = "    compact (seedbed-worker, internal)\n";
    let with_base = SEEDED.replace(compact, &[compact, BASE_STEPS].concat());
    assert_eq!(tree(&jobs["store-2"]), with_base);
    assert_eq!(tree(&jobs["store-3"]), SEEDED);
}

#[tokio::test(flavor = "multi_thread")]
async fn jaeger_finds_a_job_by_its_store() {
    let Some(jaeger) = Jaeger::start() else {
        leave_out(
            "Jaeger finds a job by its store",
            "install Go 1.21 or newer, which builds Jaeger once (3 GB): apt-get install golang",
        );
        return;
    };
    let mut cluster = Cluster::start().await;
    cluster.add_stores(3, 20_000);
    let program = &mut cluster.program;
    program.set_variable("OTEL_EXPORTER_OTLP_ENDPOINT", jaeger.endpoint());
    program.set_variable("OTEL_METRICS_EXPORTER", "none");
    // The stream that breaks off is resumed; what comes next is more than a job sits out by itself.
    program.set("POWERSYNC__GIVE_UP_AFTER", "10s");
    let faults = cluster.service.faults();
    faults.push_for("store-2", Fault::CutAfter { bytes: 1000 });
    let unavailable = Fault::Status {
        status: 503,
        retry_after: Some("11".to_owned()),
    };
    faults.push_for("store-2", unavailable);
    let worker = cluster.program.start_worker();
    let ended = cluster.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    worker.stop().await;

    let tag = ("seedbed.store_id", "store-2");
    // As many as in the tree above, and those of the failed try.
    let has_all = |answer: &Value| {
        let spans = answer["data"][0]["spans"].as_array();
        spans.is_some_and(|spans| spans.len() == 29)
    };
    let answer = jaeger.search_until("seedbed-worker", tag, has_all).await;
    let traces = answer["data"].as_array().unwrap();
    assert_eq!(traces.len(), 1, "one trace for each job");
    let trace = &traces[0];
    let processes = trace["processes"].as_object().unwrap().values();
    let services: BTreeSet<_> = processes
        .map(|p| p["serviceName"].as_str().unwrap())
        .collect();
    assert_eq!(services, BTreeSet::from(["seedbed", "seedbed-worker"]));
    let spans = trace["spans"].as_array().unwrap();
    let names: BTreeSet<_> = spans
        .iter()
        .map(|s| s["operationName"].as_str().unwrap())
        .collect();
    for step in [
        "token", "sync", "scrub", "vacuum", "verify", "upload", "report",
    ] {
        assert!(names.contains(step), "{step} is not in {names:?}");
    }
    let is_marked = |span: &&Value| {
        let tags = span["tags"].as_array().unwrap();
        tags.iter()
            .any(|tag| tag["key"] == "error" && tag["value"] == true)
    };
    let marked = spans.iter().filter(is_marked);
    let mut marked: Vec<_> = marked
        .map(|s| s["operationName"].as_str().unwrap())
        .collect();
    marked.sort_unstable();
    let broken = [
        "POST /sync/stream",
        "POST /sync/stream",
        "process seed.jobs",
        "sync",
    ];
    assert_eq!(marked, broken);
    draw(&answer);
}

/// Draws the trace as the README shows it: `target/traces/job.svg`.
fn draw(answer: &Value) {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let directory = workspace.join("target/traces");
    std::fs::create_dir_all(&directory).unwrap();
    let (json, picture) = (directory.join("job.json"), directory.join("job.svg"));
    std::fs::write(&json, answer.to_string()).unwrap();
    let script = workspace.join("tests/traces/draw.py");
    let drawn = Command::new("python3")
        .arg(script)
        .args([&json, &picture])
        .status();
    assert!(drawn.unwrap().success());
    let picture = std::fs::read_to_string(picture).unwrap();
    for name in ["publish seed.jobs", "POST /sync/stream", "vacuum", "retry"] {
        assert!(picture.contains(name), "{name} is not in the picture");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_joins_its_callers_trace_and_no_signature_is_in_any() {
    let collector = Collector::start().await;
    let objects = ObjectServer::s3().await;
    let mut cluster = Cluster::on(RabbitMq::shared(), Some(objects)).await;
    cluster.add_stores(1, 5);
    report_to(&mut cluster, &collector);
    Serving::prepare(&mut cluster.program);
    let worker = cluster.program.start_worker();
    assert_eq!(cluster.run(&[]).await.code, Some(0));
    worker.stop().await;
    let server = Serving::start(&cluster.program, &SERVE).await;
    let token = format!("Bearer {}", client_token(json!({ "store_id": "store-1" })));
    let (trace, caller) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let traceparent = format!("00-{trace}-{caller}-01");
    let headers = [
        ("authorization", token.as_str()),
        ("traceparent", &traceparent),
    ];
    let answer = server.get_with(&database_path("store-1"), &headers).await;
    let url = answer.json()["databaseUrl"].as_str().unwrap().to_owned();
    let signature = url.split("X-Amz-Signature=").nth(1).unwrap();

    let request = |span: &Span| span.name == "GET /database";
    collector
        .wait_for("the request is told of", |c| c.spans().iter().any(request))
        .await;
    let spans = collector.spans();
    let request = spans.iter().find(|span| request(span)).unwrap();
    assert_eq!(request.kind, "server");
    assert_eq!(
        (request.trace_id.as_str(), request.parent.as_deref()),
        (trace, Some(caller))
    );
    assert_eq!(request.attribute("http.route"), "/database");
    assert_eq!(request.attribute("http.response.status_code"), "200");
    let mut puts = spans.iter().filter(|span| span.name == "put s3");
    let put = puts.next().unwrap();
    assert!(put.attribute("aws.s3.key").contains("store-1/"), "{put:?}");
    assert!(!put.attribute("aws.s3.bucket").is_empty());
    for secret in [signature, token.as_str(), "X-Amz-", "eyJ"] {
        assert!(!collector.has_text(secret), "a secret was exported");
    }
}

/// Programs tell `collector` soon, not only when they end.
fn report_to(cluster: &mut Cluster, collector: &Collector) {
    let program = &mut cluster.program;
    program.set_variable("OTEL_EXPORTER_OTLP_ENDPOINT", collector.http_endpoint());
    program.set_variable("OTEL_BSP_SCHEDULE_DELAY", "50");
    // Every job has the same steps.
    program.set("VERIFY__FORMS_EVERY", "1");
}
