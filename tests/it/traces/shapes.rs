//! The traces of jobs as trees of text, and what must not be missing in them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use testkit::collector::Span;

/// A job that goes well. Spans that begin at about the same time are sorted by name.
pub(super) const SEEDED: &str = "\
publish seed.jobs (seedbed, producer)
  process seed.events started (seedbed, consumer)
  process seed.jobs seeded (seedbed-worker, consumer)
    compact (seedbed-worker, internal)
    forms (seedbed-worker, internal)
    publish seed.events started (seedbed-worker, producer)
    report (seedbed-worker, internal)
      publish seed.events completed (seedbed-worker, producer)
        process seed.events completed (seedbed, consumer)
    scrub (seedbed-worker, internal)
    sync (seedbed-worker, internal)
      POST /sync/stream (seedbed-worker, client)
      token (seedbed-worker, internal)
    upload (seedbed-worker, internal)
      put file (seedbed-worker, client)
      put file (seedbed-worker, client)
      put file (seedbed-worker, client)
    vacuum (seedbed-worker, internal)
    verify (seedbed-worker, internal)
";

/// An attempt that fails in its stream, and the outcome of its job.
pub(super) fn failed_try(outcome: &str) -> String {
    format!(
        "  process seed.events started (seedbed, consumer)
  process seed.jobs {outcome} (seedbed-worker, consumer) FAILED
    publish seed.events started (seedbed-worker, producer)
    report (seedbed-worker, internal)
      publish seed.events failed (seedbed-worker, producer)
        process seed.events failed (seedbed, consumer)
    sync (seedbed-worker, internal) FAILED
      POST /sync/stream (seedbed-worker, client) FAILED
      token (seedbed-worker, internal)
"
    )
}

/// What a killed worker leaves: the coordinator's part.
pub(super) const KILLED: &str = "  process seed.events started (seedbed, consumer)\n";

/// A job whose store has not changed.
pub(super) const UNCHANGED: &str = "\
publish seed.jobs (seedbed, producer)
  process seed.events started (seedbed, consumer)
  process seed.jobs unchanged (seedbed-worker, consumer)
    compare (seedbed-worker, internal)
      POST /sync/stream (seedbed-worker, client)
      head file (seedbed-worker, client)
      head file (seedbed-worker, client)
      token (seedbed-worker, internal)
    publish seed.events started (seedbed-worker, producer)
    report (seedbed-worker, internal)
      publish seed.events unchanged (seedbed-worker, producer)
        process seed.events unchanged (seedbed, consumer)
";

/// What a job does before [`SEEDED`]'s work when it starts from an earlier snapshot.
pub(super) const BASE_STEPS: &str = "    compare (seedbed-worker, internal)
      POST /sync/stream (seedbed-worker, client)
      token (seedbed-worker, internal)
    fetch (seedbed-worker, internal)
      get file (seedbed-worker, client)
";

/// What is worth looking at in the trace of a job that went well.
pub(super) fn assert_attributes(trace: &[&Span]) {
    let find = |name: &str| *trace.iter().find(|span| span.name == name).unwrap();
    let process = find("process seed.jobs");
    assert_eq!(process.attribute("seedbed.attempt"), "1");
    assert_eq!(process.attribute("seedbed.returned"), "0");
    assert_eq!(process.attribute("seedbed.rows"), "5");
    assert_eq!(process.attribute("seedbed.operations"), "5");
    assert_eq!(
        process.attribute("seedbed.renditions"),
        "file/identity,compact/gzip"
    );
    for name in ["seedbed.bytes", "seedbed.downloaded", "seedbed.checkpoint"] {
        let number: u64 = process.attribute(name).parse().unwrap();
        assert!(number > 0, "{name}");
    }
    let stream = find("POST /sync/stream");
    assert_eq!(stream.attribute("http.request.method"), "POST");
    assert_eq!(stream.attribute("http.response.status_code"), "200");
    assert_eq!(stream.attribute("server.address"), "127.0.0.1");
    assert!(stream.attribute("url.full").ends_with("/sync/stream"));
    assert_eq!(stream.attribute("seedbed.operations"), "5");
    let put = find("put file");
    assert!(put.attribute("seedbed.object.key").contains("store-1"));
}

/// How the failed tries are marked.
pub(super) fn assert_failures(jobs: &BTreeMap<String, Vec<&Span>>) {
    let failed = |store: &str, name: &str| {
        let mut named = jobs[store].iter().filter(|span| span.name == name);
        *named.find(|span| span.failure.is_some()).unwrap()
    };
    let event = |span: &Span, name: &str| {
        let mut events = span.events.iter();
        events.find(|event| event.0 == name).unwrap().1.clone()
    };
    for (store, status) in [("store-3", "503"), ("store-5", "400")] {
        let stream = failed(store, "POST /sync/stream");
        assert_eq!(stream.attribute("error.type"), "powersync_refused");
        assert_eq!(stream.attribute("http.response.status_code"), status);
        let exception = event(failed(store, "sync"), "exception");
        assert!(
            exception["exception.message"].contains(status),
            "{exception:?}"
        );
    }
    let retry = event(failed("store-3", "process seed.jobs"), "retry");
    assert_eq!(retry["seedbed.step"], "sync");
    assert_eq!(retry["seedbed.attempt"], "2");
    let parked = event(failed("store-5", "process seed.jobs"), "parked");
    assert_eq!(parked["seedbed.step"], "sync");
    let mut redelivered = jobs["store-7"].iter();
    let redelivered = redelivered.find(|span| span.name == "process seed.jobs");
    assert_eq!(redelivered.unwrap().attribute("seedbed.returned"), "1");
}

/// The stores of the jobs of which a snapshot or a parked message is in the catalog.
pub(super) fn ended(spans: &[Span]) -> BTreeSet<String> {
    let last = |span: &&Span| {
        let has_ended = matches!(
            span.attribute("seedbed.outcome"),
            "seeded" | "unchanged" | "failed"
        );
        has_ended && span.name == "process seed.jobs"
    };
    let recorded = |span: &&Span| {
        let event = span.attribute("seedbed.event");
        span.name == "process seed.events" && event != "started"
    };
    let store = |span: &Span| span.attribute("seedbed.store_id").to_owned();
    let recorded: BTreeSet<_> = spans.iter().filter(recorded).map(store).collect();
    let ended: BTreeSet<_> = spans.iter().filter(last).map(store).collect();
    &recorded & &ended
}

/// The spans of each job, by its store.
pub(super) fn jobs(spans: &[Span]) -> BTreeMap<String, Vec<&Span>> {
    let mut jobs = BTreeMap::new();
    for root in spans.iter().filter(|span| span.name == "publish seed.jobs") {
        assert_eq!(root.parent, None, "a job's trace is its own");
        let trace = spans.iter().filter(|span| span.trace_id == root.trace_id);
        let twice = jobs.insert(
            root.attribute("seedbed.store_id").to_owned(),
            trace.collect(),
        );
        assert_eq!(twice, None, "a second trace of the same job");
    }
    jobs
}

pub(super) fn assert_no_orphan(spans: &[Span]) {
    let ids: BTreeSet<_> = spans
        .iter()
        .map(|span| (&span.trace_id, &span.id))
        .collect();
    assert_eq!(ids.len(), spans.len(), "a span came twice");
    for span in spans {
        if let Some(parent) = &span.parent {
            let is_there = ids.contains(&(&span.trace_id, parent));
            assert!(is_there, "an orphan: {span:#?}");
        }
    }
}

/// The run is a trace of its own, to which each job is linked; each batch of events is one, linked both ways.
pub(super) fn assert_run(spans: &[Span], jobs: usize) {
    let named = |name: &'static str| spans.iter().filter(move |span| span.name == name);
    let run = named("run").next().unwrap();
    assert_eq!(run.attribute("seedbed.jobs"), jobs.to_string());
    let trace: Vec<_> = spans
        .iter()
        .filter(|span| span.trace_id == run.trace_id)
        .collect();
    assert_eq!(
        tree(&trace),
        "run (seedbed, internal)\n  list stores (seedbed, client)\n  publish jobs (seedbed, internal)\n"
    );
    let publishing = named("publish jobs").next().unwrap();
    let published: Vec<_> = named("publish seed.jobs").collect();
    assert_eq!(published.len(), jobs);
    for job in published {
        assert_eq!(job.links, std::slice::from_ref(&publishing.id));
        assert_eq!(
            job.attribute("seedbed.run_id"),
            run.attribute("seedbed.run_id")
        );
    }
    let batches: BTreeMap<_, _> = named("apply events").map(|span| (&span.id, span)).collect();
    for batch in batches.values() {
        assert_eq!(batch.attribute("db.system.name"), "postgresql");
    }
    for event in named("process seed.events") {
        let [batch] = &event.links[..] else {
            panic!("not in one batch: {event:#?}");
        };
        assert!(batches[batch].links.contains(&event.id));
    }
}

pub(super) fn root() -> String {
    let root = SEEDED.split_inclusive('\n').next();
    root.unwrap().to_owned()
}

/// A job that goes well after `before`.
pub(super) fn after_root(before: &str) -> String {
    let mut children = [before, SEEDED.strip_prefix(&root()).unwrap()].concat();
    let mut blocks: Vec<String> = Vec::new();
    for line in children.split_inclusive('\n') {
        match blocks.last_mut() {
            Some(block) if line.starts_with("    ") => block.push_str(line),
            _ => blocks.push(line.to_owned()),
        }
    }
    blocks.sort();
    children = blocks.concat();
    root() + &children
}

/// The spans of one trace, each below its parent, sorted by name.
pub(super) fn tree(trace: &[&Span]) -> String {
    fn add(text: &mut String, trace: &[&Span], parent: Option<&str>, depth: usize) {
        let children = trace.iter().filter(|span| span.parent.as_deref() == parent);
        let mut children: Vec<_> = children.map(|span| (line(span), *span)).collect();
        children.sort_by(|one, other| one.0.cmp(&other.0));
        for (line, span) in children {
            writeln!(text, "{:depth$}{line}", "").unwrap();
            add(text, trace, Some(&span.id), depth + 2);
        }
    }
    fn line(span: &Span) -> String {
        let what = match span.name.as_str() {
            "process seed.jobs" => span.attribute("seedbed.outcome"),
            _ => span.attribute("seedbed.event"),
        };
        let name = [&span.name, what].join(" ");
        let failed = span.failure.as_ref().map_or("", |_| " FAILED");
        format!("{} ({}, {}){failed}", name.trim(), span.service, span.kind)
    }
    let mut text = String::new();
    add(&mut text, trace, None, 0);
    text
}
