//! What programs say about themselves: log lines, metrics, and traces over the transport that the environment names.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tempfile::TempDir;
use testkit::{
    cluster::Cluster,
    collector::{Behaviour, Collector},
    pipeline::Access,
    powersync::Fault,
    program::{Process, Program, json_lines},
    servers::Authority,
    serving::{Serving, launch_report, samples},
    wait,
};
use tonic::transport::Identity;

/// Seeds every store of the cluster and returns the worker, which keeps running.
async fn seed(cluster: &Cluster) -> Process {
    let worker = cluster.program.start_worker();
    let ended = cluster.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    worker
}

#[tokio::test(flavor = "multi_thread")]
async fn log_lines_of_a_job_name_its_trace_run_job_and_store() {
    let mut cluster = Cluster::start().await;
    cluster.program.set("LOG__LEVEL", "info");
    let stores = cluster.add_stores(3, 1);
    let log = seed(&cluster).await.stop().await.error;
    let seeded: Vec<_> = json_lines(&log)
        .into_iter()
        .filter(|line| line["message"] == "seeded")
        .collect();
    let of_stores: BTreeSet<_> = seeded
        .iter()
        .map(|l| l["store"].as_str().unwrap())
        .collect();
    assert_eq!(of_stores, stores.iter().map(String::as_str).collect());

    let catalog = cluster.catalog().await;
    for line in &seeded {
        let text = |name: &str| line[name].as_str().unwrap();
        let store = text("store").parse().unwrap();
        let manifest = catalog
            .live_snapshot(&store)
            .await
            .unwrap()
            .unwrap()
            .manifest;
        assert_eq!(manifest.trace_id.as_deref(), Some(text("trace_id")));
        assert_eq!(manifest.run_id.to_string(), text("run"));
        assert_eq!(manifest.job_id.to_string(), text("job"));
        assert_eq!(line["attempt"], 1);
        assert_eq!(text("level"), "INFO");
        assert_eq!(text("span_id").len(), 16);
        assert!(text("timestamp").ends_with('Z'));
        assert_eq!(line["rows"], 1);
    }
    catalog.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_for_prometheus_and_for_a_collector_under_the_names_of_the_readme() {
    let collector = Collector::start().await;
    let mut cluster = Cluster::start().await;
    cluster.add_stores(2, 3);
    Serving::prepare(&mut cluster.program);
    let endpoint = collector.http_endpoint();
    cluster
        .program
        .set_variable("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    cluster
        .program
        .set_variable("OTEL_METRIC_EXPORT_INTERVAL", "100");
    cluster.program.set("SERVE__HEALTH_LISTEN", "127.0.0.1:0");
    cluster.program.set("WORKER__LISTEN", "127.0.0.1:0");
    let files = TempDir::new().unwrap();
    let (certificate, key) = Authority::new(&files, "authority").sign_localhost();
    cluster
        .program
        .set("SERVE__TLS_CERTIFICATE_FILE", certificate);
    cluster.program.set("SERVE__TLS_KEY_FILE", key);
    cluster.program.set("POWERSYNC__GIVE_UP_AFTER", "10s");
    // Each job fails once, so that there is a retry to count.
    for store in ["store-1", "store-2"] {
        let unavailable = Fault::Status {
            status: 503,
            retry_after: Some("11".to_owned()),
        };
        cluster.service.faults().push_for(store, unavailable);
    }
    cluster.program.set("LOG__LEVEL", "info");
    let arguments = ["serve", "--stores", "stores.ndjson"];
    let serving = Serving::start(&cluster.program, &arguments).await;
    let worker = cluster.program.start_worker();
    // Published and recorded by the server alone, so that it measures all of it.
    let started = serving.post("/api/runs", None).await;
    assert!(started.status.is_success(), "{started:?}");
    let reported = serving.report("store-1", launch_report(1)).await;
    assert_eq!(reported.status, 204, "{reported:?}");
    let listed = documented_names();
    collector
        .wait_for("all metrics have come", |collector| {
            listed.is_subset(&collector.metrics())
        })
        .await;
    assert_eq!(collector.metrics(), listed, "the page lists others");

    let probes = json_lines(&worker.error())
        .into_iter()
        .find(|line| line["message"] == "answering probes")
        .unwrap();
    let probes = format!("http://{}", probes["address"].as_str().unwrap());
    let of_worker = metrics_until(&probes, |metrics| {
        let seeded = metrics.get(r#"seedbed_jobs_total{seedbed_outcome="seeded"}"#);
        seeded == Some(&2.0) && metrics["seedbed_jobs_in_flight"] == 0.0
    })
    .await;
    assert_eq!(
        of_worker[r#"seedbed_jobs_total{seedbed_outcome="retried"}"#],
        2.0
    );
    assert_eq!(
        of_worker[r#"seedbed_retries_total{seedbed_step="sync"}"#],
        2.0
    );
    assert_eq!(of_worker["seedbed_rows_total"], 6.0);
    assert_eq!(of_worker["seedbed_operations_total"], 6.0);
    assert!(of_worker["seedbed_downloaded_bytes_total"] > 0.0);
    assert!(of_worker["seedbed_uploaded_bytes_total"] > 0.0);
    assert_eq!(of_worker["seedbed_slots"], 2.0);
    for step in ["sync", "scrub", "vacuum", "verify", "upload", "report"] {
        let count = format!(r#"seedbed_step_duration_seconds_count{{seedbed_step="{step}"}}"#);
        assert!(of_worker[&count] >= 2.0, "{step}");
    }

    serving.get("/healthz", None).await;
    let of_serve = metrics_at(serving.health_url.as_ref().unwrap()).await;
    assert_eq!(
        of_serve[r#"seedbed_queue_messages{seedbed_queue="seed.jobs"}"#],
        0.0
    );
    assert!(
        of_serve
            .keys()
            .any(|name| name.starts_with("seedbed_snapshot_age_seconds"))
    );
    let answered = r#"http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="200",http_route="/healthz"}"#;
    assert!(of_serve[answered] >= 1.0);
    // The same needs a token where clients ask.
    assert_eq!(serving.get("/metrics", None).await.status, 401);
    let shown = serving.admin("/metrics").await;
    assert_eq!(shown.status, 200);
    assert_measured(&[of_worker, of_serve]);
    worker.stop().await;
}

/// The metrics below `url`, in Prometheus' text format.
async fn metrics_at(url: &str) -> BTreeMap<String, f64> {
    let answer = reqwest::get(format!("{url}/metrics")).await.unwrap();
    assert_eq!(
        answer.headers()["content-type"],
        "text/plain; version=0.0.4"
    );
    samples(&answer.text().await.unwrap())
}

/// Asks for the metrics below `url` until they are `accepted`.
async fn metrics_until(
    url: &str,
    accepted: impl Fn(&BTreeMap<String, f64>) -> bool,
) -> BTreeMap<String, f64> {
    wait::for_some("the metrics come to that", async || {
        let metrics = metrics_at(url).await;
        accepted(&metrics).then_some(metrics)
    })
    .await
}

/// Every metric and every label that alerts and dashboard ask for is among these samples.
fn assert_measured(samples: &[BTreeMap<String, f64>]) {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = |text: &str| -> BTreeSet<String> {
        let words = text.split(|letter: char| !is_word(letter));
        let ours = words.filter(|word| word.starts_with("seedbed_") || word.starts_with("http_"));
        ours.map(str::to_owned).collect()
    };
    let names = samples.iter().flat_map(BTreeMap::keys);
    let known: BTreeSet<_> = names.flat_map(|name| words(name)).collect();
    for asked in [
        include_str!("../../../deploy/monitoring/alerts.yaml"),
        include_str!("../../../deploy/monitoring/grafana/seedbed.json"),
        // What the tools in tests/deploy believe.
        include_str!("../../deploy/metrics.txt"),
    ] {
        let unknown: Vec<_> = words(asked).difference(&known).cloned().collect();
        assert_eq!(unknown, [""; 0], "nobody measures that");
    }
}

/// The first column of the table of metrics in `deploy/TELEMETRY.md`.
fn documented_names() -> BTreeSet<String> {
    let page = include_str!("../../../deploy/TELEMETRY.md");
    let table = page.split("| Metric |").nth(1).unwrap();
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with("| `"));
    rows.map(|row| row.split('`').nth(1).unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_go_by_grpc_with_tls_and_headers_where_the_environment_says_so() {
    let directory = TempDir::new().unwrap();
    let authority = Authority::new(&directory, "authority");
    let (certificate, key) = authority.sign_localhost();
    let read = |file: &str| std::fs::read(file).unwrap();
    let identity = Identity::from_pem(read(&certificate), read(&key));
    let collector = Collector::with_tls(Some(identity)).await;
    let mut cluster = Cluster::start().await;
    cluster.add_stores(1, 1);
    let endpoint = format!("https://localhost:{}", collector.grpc_port());
    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", &authority.file("pem")),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=hunter2"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "deployment.environment.name=test",
        ),
        ("OTEL_SERVICE_NAME", "seeders"),
    ] {
        cluster.program.set_variable(name, value);
    }
    let log = seed(&cluster).await.stop().await.error;
    // What waited was exported when the programs ended.
    let spans = collector.spans();
    for name in ["run", "process seed.jobs", "process seed.events"] {
        assert!(spans.iter().any(|span| span.name == name), "{name}: {log}");
    }
    assert!(spans.iter().all(|span| span.service == "seeders"));
    for headers in collector.headers() {
        assert_eq!(headers["x-api-key"], "hunter2");
    }
    assert!(!log.contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sampler_leaves_out_whole_traces_and_jobs_do_not_care() {
    let collector = Collector::start().await;
    let mut cluster = Cluster::start().await;
    cluster.add_stores(2, 1);
    let endpoint = collector.http_endpoint();
    cluster
        .program
        .set_variable("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    cluster
        .program
        .set_variable("OTEL_TRACES_SAMPLER", "parentbased_traceidratio");
    cluster.program.set_variable("OTEL_TRACES_SAMPLER_ARG", "0");
    cluster.program.set("LOG__LEVEL", "info");
    let log = seed(&cluster).await.stop().await.error;
    assert_eq!(collector.spans(), []);
    let is_seeded = |line: &Value| line["message"] == "seeded";
    let seeded = json_lines(&log).into_iter().find(is_seeded).unwrap();
    assert_eq!(seeded["trace_id"].as_str().unwrap().len(), 32);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_costs_a_word_and_no_job() {
    let collector = Collector::start().await;
    let mut cluster = Cluster::start().await;
    cluster.add_stores(10, 1);
    let endpoint = collector.http_endpoint();
    cluster
        .program
        .set_variable("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    cluster
        .program
        .set_variable("OTEL_METRICS_EXPORTER", "none");
    cluster
        .program
        .set_variable("OTEL_BSP_SCHEDULE_DELAY", "20");
    collector.behave(Behaviour::Full);
    let mut worker = seed(&cluster).await;
    worker
        .until("it says so", |worker| {
            worker.error().contains("are lost while")
        })
        .await;
    collector.behave(Behaviour::Takes);
    let ended = cluster.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    worker
        .until("it says so", |worker| {
            worker.error().contains("takes traces again")
        })
        .await;
    let log = worker.stop().await.error;
    let said = |words: &str| log.lines().filter(|line| line.contains(words)).count();
    assert_eq!(said("are lost while"), 1, "{log}");
    assert_eq!(said("takes traces again"), 1, "{log}");
}

#[tokio::test]
async fn wrong_variables_are_named_before_anything_starts() {
    let endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";
    for (name, value, named) in [
        (endpoint, "collector:4318", "http://localhost:4318"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "http/protobuf"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "otlp or none"),
        ("OTEL_TRACES_SAMPLER", "sometimes", "traceidratio"),
        (
            "OTEL_EXPORTER_OTLP_CERTIFICATE",
            "no/such/file.pem",
            "no/such/file.pem",
        ),
    ] {
        let mut program = Program::new(Access {
            endpoint: "http://127.0.0.1:9".to_owned(),
            secret: "c2VjcmV0".to_owned(),
            kid: "seedbed".to_owned(),
        });
        program.set_variable(endpoint, "http://127.0.0.1:9");
        program.set_variable(name, value);
        for arguments in [
            &["status"][..],
            &["run"],
            &["local", "--stores", "stores.ndjson"],
        ] {
            let ended = program.run(arguments).await;
            assert_eq!(ended.code, Some(2), "{name}={value}: {ended}");
            assert!(ended.error.contains(name), "{ended}");
            assert!(ended.error.contains(named), "{ended}");
        }
        let ended = program.start_worker().end().await;
        assert_eq!(ended.code, Some(2), "{name}={value}: {ended}");
        assert!(ended.error.contains(name), "{ended}");
    }
}
