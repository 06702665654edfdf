//! A private Jaeger, with everything in memory.

use std::process::Command;

use serde_json::Value;

use crate::{
    machine::tools,
    servers::process::{Server, free_port},
    wait,
};

/// A running Jaeger.
pub struct Jaeger {
    _server: Server,
    otlp: u16,
    query: u16,
    client: reqwest::Client,
}

impl Jaeger {
    /// Starts the one that `tests/run.sh` has installed; `None` where it could not, for want of Go.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start() -> Option<Self> {
        let program = tools("jaeger/jaeger");
        if !program.exists() {
            return None;
        }
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let (otlp, query) = (free_port(), free_port());
        let mut command = Command::new(program);
        command
            .env("SPAN_STORAGE_TYPE", "memory")
            .arg(format!("--collector.otlp.http.host-port=127.0.0.1:{otlp}"))
            .arg(format!("--query.http-server.host-port=127.0.0.1:{query}"));
        for other in [
            "admin.http",
            "collector.grpc-server",
            "collector.http-server",
            "collector.otlp.grpc",
            "http-server",
            "query.grpc-server",
        ] {
            command.arg(format!("--{other}.host-port=127.0.0.1:0"));
        }
        for other in ["jaeger-binary", "jaeger-compact", "zipkin-compact"] {
            command.arg(format!("--processor.{other}.server-host-port=127.0.0.1:0"));
        }
        Some(Self {
            _server: Server::start(command, directory, query),
            otlp,
            query,
            client: reqwest::Client::new(),
        })
    }

    /// The value of `OTEL_EXPORTER_OTLP_ENDPOINT` for `http/protobuf`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.otlp)
    }

    /// Searches for the traces of `service` with a span that has this tag, as Jaeger's page does, until what it finds is
    /// `accepted`. The answer is Jaeger's own.
    ///
    /// # Panics
    /// When it does not answer, or nothing is accepted in time.
    pub async fn search_until(
        &self,
        service: &str,
        (tag, value): (&str, &str),
        accepted: impl Fn(&Value) -> bool,
    ) -> Value {
        let tags = serde_json::json!({ tag: value }).to_string();
        let query = [("service", service), ("tags", &tags), ("lookback", "1h")];
        let mut url = reqwest::Url::parse(&format!("http://127.0.0.1:{}/api/traces", self.query))
            .expect("it is a URL");
        url.query_pairs_mut().extend_pairs(query);
        wait::for_some(
            &format!("{tag}={value} of {service} is found"),
            async || {
                let answer = self.client.get(url.clone()).send().await;
                let answer = answer.expect("Jaeger answers").bytes().await;
                let answer = answer.expect("the answer ends");
                let answer = serde_json::from_slice(&answer).expect("Jaeger answers with JSON");
                accepted(&answer).then_some(answer)
            },
        )
        .await
    }
}
