// What is under deploy/monitoring: alerts, the dashboard, monitors and the collector, by Prometheus' own tools and parser.
// tests/run.sh installs them; tests/it/deploy/files.rs starts this.
import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { load, named, of, parse, run, text } from "./support.js";

const scratch = mkdtempSync(join(tmpdir(), "seedbed-monitoring-"));
after(() => rmSync(scratch, { recursive: true }));

const alerts = () => of("PrometheusRule").flatMap(({ spec }) => spec.groups);

test("promtool understands the alerts, and each fires when it should and only then", () => {
  writeFileSync(join(scratch, "rules.yaml"), JSON.stringify({ groups: alerts() }));
  copyFileSync(new URL("alerts.test.yaml", import.meta.url), join(scratch, "alerts.test.yaml"));
  run("promtool", ["check", "rules", "rules.yaml"], { cwd: scratch });
  run("promtool", ["test", "rules", "alerts.test.yaml"], { cwd: scratch });
});

test("alerts and the dashboard ask for metrics that exist", async () => {
  const { parser } = await load("@prometheus-io/lezer-promql/dist/index.es.js");
  const known = readFileSync(new URL("metrics.txt", import.meta.url), "utf8").trim().split("\n");
  const dashboard = JSON.parse(text("monitoring/grafana/seedbed.json"));
  const panels = dashboard.panels.filter(({ type }) => type !== "row");
  const expressions = [
    ...alerts().flatMap(({ rules }) => rules.map(({ expr }) => expr)),
    ...panels.flatMap(({ targets }) => targets.map(({ expr }) => expr.replaceAll("$__rate_interval", "5m"))),
  ];
  assert.ok(expressions.length > 30);
  for (const expression of expressions) {
    const metrics = [];
    parser.parse(expression).iterate({
      enter({ name, from, to, type }) {
        assert.ok(!type.isError, `${expression} at ${from}`);
        if (name === "Identifier") metrics.push(expression.slice(from, to));
      },
    });
    assert.ok(metrics.length > 0, expression);
    for (const metric of metrics) assert.ok(known.includes(metric), `${metric} in ${expression}`);
  }
  const ids = dashboard.panels.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length, "each panel has an id of its own");
  assert.equal(JSON.parse(named("ConfigMap", "seedbed-dashboard").data["seedbed.json"]).uid, dashboard.uid);
});

test("the dashboard shows the promise of freshness by the numbers that the alerts compare, and what people have decided", () => {
  const { panels } = JSON.parse(text("monitoring/grafana/seedbed.json"));
  const shown = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
  const rules = alerts().flatMap(({ rules }) => rules);
  const expression = (name) => rules.find(({ alert }) => alert === name).expr;
  // Both sides of each comparison: neither is a number of its own.
  const [share, objective] = expression("SeedbedSnapshotsStale").split(" < ");
  assert.equal(objective, "max(seedbed_freshness_objective)");
  const [budget, none] = expression("SeedbedFreshnessBudgetSpent").split(" <= ");
  assert.equal(none, "0");
  for (const side of [share, objective, budget]) assert.ok(shown.includes(side), side);
  const left = panels.find(({ targets = [] }) => targets.some(({ expr }) => expr === budget));
  assert.ok(left.fieldConfig.defaults.thresholds.steps.some(({ value }) => value === Number(none)), "it turns red where the alert fires");
  for (const metric of ["delivery_share_ratio", "stores_withdrawn", "latest_stale", "stores_forgotten", "stores_forgotten_left"]) {
    assert.ok(shown.some((expr) => new RegExp(`\\bseedbed_${metric}\\b`).test(expr)), metric);
  }
});

test("no panel of the dashboard covers another, and each is below the row that asks its question", () => {
  const { panels } = JSON.parse(text("monitoring/grafana/seedbed.json"));
  const places = new Map();
  for (const { title, gridPos: { x, y, w, h } } of panels) {
    assert.ok(x + w <= 24, title);
    for (let column = x; column < x + w; column += 1) {
      for (let line = y; line < y + h; line += 1) {
        const place = `${column} ${line}`;
        assert.equal(places.get(place), undefined, `${title} covers ${places.get(place)}`);
        places.set(place, title);
      }
    }
  }
  // Grafana puts panels below the row before them in the list.
  const lines = panels.map(({ gridPos }) => gridPos.y);
  assert.deepEqual(lines, [...lines].sort((a, b) => a - b));
});

test("the collector's pipelines are made of parts that it has, and sample before they batch", () => {
  const collector = parse(text("monitoring/otel-collector.yaml"));
  for (const [name, pipeline] of Object.entries(collector.service.pipelines)) {
    for (const part of ["receivers", "processors", "exporters"]) {
      for (const id of pipeline[part]) assert.ok(id in collector[part], `${name}: ${id}`);
    }
  }
  const { processors } = collector.service.pipelines.traces;
  assert.ok(processors.indexOf("tail_sampling") < processors.indexOf("batch"));
  const failures = collector.processors.tail_sampling.policies.find(({ type }) => type === "status_code");
  assert.deepEqual(failures.status_code.status_codes, ["ERROR"]);
});

test("kube-prometheus-stack finds the monitors and the rules", () => {
  for (const [kind, name] of [["PodMonitor", "seedbed-worker"], ["ServiceMonitor", "seedbed"], ["PrometheusRule", "seedbed"]]) {
    assert.ok(named(kind, name).metadata.labels.release, `${kind}/${name}`);
  }
});
