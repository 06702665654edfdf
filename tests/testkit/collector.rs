//! A collector of traces and metrics: takes OTLP over HTTP and gRPC, as Jaeger and the OpenTelemetry Collector do, and
//! keeps what comes.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use opentelemetry_proto::tonic::{
    collector::{
        metrics::v1::ExportMetricsServiceRequest,
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{
        ResourceSpans, Span as OtlpSpan, span::SpanKind, status::StatusCode as SpanStatus,
    },
};
use prost::Message;
use reqwest::StatusCode;
use seedbed_protocol::digest::hex;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tonic::transport::{Identity, Server, ServerTlsConfig, server::TcpIncoming};

/// Longer than anything takes that a test waits for.
const LIMIT: Duration = Duration::from_secs(120);

/// What the collector does with what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Takes it.
    Takes,
    /// Takes it, after this time.
    Slow(Duration),
    /// Answers 503 and asks to come back later.
    Full,
}

/// A span as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// `service.name`
    pub service: String,
    /// 32 hex digits.
    pub trace_id: String,
    /// 16 hex digits.
    pub id: String,
    /// The span that it is within.
    pub parent: Option<String>,
    /// Its name.
    pub name: String,
    /// `client`, `server`, `producer`, `consumer` or `internal`.
    pub kind: &'static str,
    /// Attributes, as text.
    pub attributes: BTreeMap<String, String>,
    /// Events: their names and attributes.
    pub events: Vec<(String, BTreeMap<String, String>)>,
    /// The spans it is linked to.
    pub links: Vec<String>,
    /// The message of its status, if it failed.
    pub failure: Option<String>,
    /// From its start to its end.
    pub took: Duration,
}

impl Span {
    /// The attribute of this name, or nothing.
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// Everything that came.
#[derive(Debug, Default)]
struct Received {
    spans: Vec<Span>,
    metrics: BTreeSet<String>,
    headers: Vec<BTreeMap<String, String>>,
    raw: Vec<u8>,
}

#[derive(Debug)]
struct Shared {
    received: Mutex<Received>,
    changed: watch::Sender<()>,
    behaviour: watch::Sender<Behaviour>,
}

impl Shared {
    fn received(&self) -> MutexGuard<'_, Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what has come is to be kept.
    async fn takes(&self) -> bool {
        let behaviour = *self.behaviour.borrow();
        if let Behaviour::Slow(pause) = behaviour {
            tokio::time::sleep(pause).await;
        }
        behaviour != Behaviour::Full
    }

    fn keep_spans(&self, headers: BTreeMap<String, String>, request: ExportTraceServiceRequest) {
        let mut received = self.received();
        received.raw.extend(request.encode_to_vec());
        received.headers.push(headers);
        let spans = request.resource_spans.into_iter().flat_map(spans_of);
        received.spans.extend(spans);
        drop(received);
        self.changed.send_replace(());
    }

    fn keep_metrics(&self, request: ExportMetricsServiceRequest) {
        let mut received = self.received();
        received.raw.extend(request.encode_to_vec());
        let scopes = request
            .resource_metrics
            .into_iter()
            .flat_map(|resource| resource.scope_metrics);
        let metrics = scopes.flat_map(|scope| scope.metrics);
        received.metrics.extend(metrics.map(|metric| metric.name));
        drop(received);
        self.changed.send_replace(());
    }
}

/// A collector on loopback. Gone when it is dropped.
#[derive(Debug)]
pub struct Collector {
    http: SocketAddr,
    grpc: SocketAddr,
    shared: Arc<Shared>,
    servers: [JoinHandle<()>; 2],
}

impl Collector {
    /// One that takes everything.
    pub async fn start() -> Self {
        Self::with_tls(None).await
    }

    /// One that takes gRPC by TLS only, with this certificate and key.
    ///
    /// # Panics
    /// When loopback has no free port, or they are none.
    pub async fn with_tls(identity: Option<Identity>) -> Self {
        let shared = Arc::new(Shared {
            received: Mutex::default(),
            changed: watch::Sender::new(()),
            behaviour: watch::Sender::new(Behaviour::Takes),
        });
        let listeners = [(); 2].map(|()| TcpListener::bind(("127.0.0.1", 0)));
        let [http_listener, grpc_listener] = futures::future::join_all(listeners)
            .await
            .try_into()
            .expect("there are two");
        let http_listener: TcpListener = http_listener.expect("loopback has a free port");
        let grpc_listener: TcpListener = grpc_listener.expect("loopback has a free port");
        let address = |listener: &TcpListener| listener.local_addr().expect("it is bound");
        let (http, grpc) = (address(&http_listener), address(&grpc_listener));
        let routes = Router::new()
            .route("/v1/traces", post(take_spans))
            .route("/v1/metrics", post(take_metrics))
            .with_state(shared.clone());
        let mut server = Server::builder();
        if let Some(identity) = identity {
            let tls = ServerTlsConfig::new().identity(identity);
            server = server.tls_config(tls).expect("it is a certificate");
        }
        let server = server.add_service(TraceServiceServer::new(Grpc(shared.clone())));
        let servers = [
            tokio::spawn(async move {
                let _ = axum::serve(http_listener, routes).await;
            }),
            tokio::spawn(async move {
                let incoming = TcpIncoming::from(grpc_listener);
                let _ = server.serve_with_incoming(incoming).await;
            }),
        ];
        Self {
            http,
            grpc,
            shared,
            servers,
        }
    }

    /// The value of `OTEL_EXPORTER_OTLP_ENDPOINT` for `http/protobuf`.
    pub fn http_endpoint(&self) -> String {
        format!("http://{}", self.http)
    }

    /// The port of gRPC.
    pub fn grpc_port(&self) -> u16 {
        self.grpc.port()
    }

    /// Behaves like this from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.shared.behaviour.send_replace(behaviour);
    }

    /// The spans so far.
    pub fn spans(&self) -> Vec<Span> {
        self.shared.received().spans.clone()
    }

    /// The names of the metrics so far.
    pub fn metrics(&self) -> BTreeSet<String> {
        self.shared.received().metrics.clone()
    }

    /// The headers of each request with spans so far.
    pub fn headers(&self) -> Vec<BTreeMap<String, String>> {
        self.shared.received().headers.clone()
    }

    /// Whether anything that came has this text in it.
    pub fn has_text(&self, text: &str) -> bool {
        let received = self.shared.received();
        let mut windows = received.raw.windows(text.len());
        windows.any(|window| window == text.as_bytes())
    }

    /// Waits until `condition` holds for what has come.
    ///
    /// # Panics
    /// When it does not come true in time.
    pub async fn wait_for(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let mut changed = self.shared.changed.subscribe();
        let reached = async {
            while !condition(self) {
                changed.changed().await.expect("the sender lives as long");
            }
        };
        let reached = tokio::time::timeout(LIMIT, reached).await;
        reached.unwrap_or_else(|_| panic!("not in time: {what}; there is {:#?}", self.spans()));
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.servers.iter().for_each(JoinHandle::abort);
    }
}

async fn take_spans(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    if !shared.takes().await {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let Ok(request) = ExportTraceServiceRequest::decode(body) else {
        return StatusCode::BAD_REQUEST;
    };
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into();
    let headers = headers
        .iter()
        .map(|(name, value)| (name.to_string(), text(value)));
    shared.keep_spans(headers.collect(), request);
    StatusCode::OK
}

async fn take_metrics(State(shared): State<Arc<Shared>>, body: Bytes) -> StatusCode {
    if !shared.takes().await {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let Ok(request) = ExportMetricsServiceRequest::decode(body) else {
        return StatusCode::BAD_REQUEST;
    };
    shared.keep_metrics(request);
    StatusCode::OK
}

struct Grpc(Arc<Shared>);

#[tonic::async_trait]
impl TraceService for Grpc {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        if !self.0.takes().await {
            return Err(tonic::Status::unavailable("full"));
        }
        let headers = request.metadata().clone().into_headers();
        let text = |value: &tonic::codegen::http::HeaderValue| {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        };
        let headers = headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value)));
        self.0.keep_spans(headers.collect(), request.into_inner());
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

fn spans_of(resource: ResourceSpans) -> Vec<Span> {
    let attributes = resource.resource.map(|resource| resource.attributes);
    let attributes = attributes_of(attributes.unwrap_or_default());
    let service = attributes.get("service.name").cloned().unwrap_or_default();
    let spans = resource
        .scope_spans
        .into_iter()
        .flat_map(|scope| scope.spans);
    spans.map(|span| span_of(&service, span)).collect()
}

fn span_of(service: &str, span: OtlpSpan) -> Span {
    let kind = match span.kind() {
        SpanKind::Client => "client",
        SpanKind::Server => "server",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
        SpanKind::Internal | SpanKind::Unspecified => "internal",
    };
    let failed = span
        .status
        .filter(|status| status.code() == SpanStatus::Error);
    let nanos = span
        .end_time_unix_nano
        .saturating_sub(span.start_time_unix_nano);
    Span {
        service: service.to_owned(),
        trace_id: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: (!span.parent_span_id.is_empty()).then(|| hex(&span.parent_span_id)),
        name: span.name,
        kind,
        attributes: attributes_of(span.attributes),
        events: span
            .events
            .into_iter()
            .map(|event| (event.name, attributes_of(event.attributes)))
            .collect(),
        links: span
            .links
            .into_iter()
            .map(|link| hex(&link.span_id))
            .collect(),
        failure: failed.map(|status| status.message),
        took: Duration::from_nanos(nanos),
    }
}

fn attributes_of(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let pairs = attributes.into_iter();
    pairs.map(|pair| (pair.key, text_of(pair.value))).collect()
}

fn text_of(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        other => format!("{other:?}"),
    }
}
