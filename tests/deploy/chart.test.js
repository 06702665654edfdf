// The chart is rendered by helm and held against the kustomize overlay, object by object: neither can change alone.
// tests/run.sh installs helm; tests/it/deploy/files.rs starts this.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import { after, test } from "node:test";

const { DEPLOY_ROOT: root, DEPLOY_TOOLS: tools } = process.env;
const { parse, parseAllDocuments } = createRequire(join(tools, "package.json"))("yaml");
const helmFolder = join(root, "deploy/helm");
const chart = join(helmFolder, "seedbed");
const overlay = join(root, "deploy/kubernetes/overlays/example");
const scratch = mkdtempSync(join(tmpdir(), "seedbed-chart-"));
after(() => rmSync(scratch, { recursive: true }));

function execute(program, ...args) {
  const env = { PATH: process.env.PATH, HOME: scratch };
  const { error, ...ended } = spawnSync(join(tools, program), args, { encoding: "utf8", env, maxBuffer: 64 * 1024 * 1024, timeout: 120_000 });
  assert.equal(error, undefined, `${program}: ${error}`);
  return ended;
}
function run(program, ...args) {
  const { status, stdout, stderr } = execute(program, ...args);
  assert.equal(status, 0, `${program} ${args.join(" ")}\n${stdout}${stderr}`);
  return stdout;
}
const objectsOf = (yaml) => parseAllDocuments(yaml).map((document) => document.toJS()).filter(Boolean);
const SETTINGS = ["--set-file", `settings=${join(overlay, "seedbed.toml")}`];
const EXAMPLE = ["--values", join(helmFolder, "examples/values.yaml"), ...SETTINGS];
const rendered = (release, ...args) => objectsOf(run("helm/helm", "template", release, chart, "--namespace", "seedbed", ...args));
const key = ({ kind, metadata }) => `${kind} ${metadata.name}`;

/** What only Helm's objects have. */
const OF_HELM = ["app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart", "checksum/settings"];

/** The object without what one of both tools adds; empty parts are no parts. */
function comparable(value, hashed) {
  if (Array.isArray(value)) return value.map((item) => comparable(item, hashed));
  if (value === null || typeof value !== "object") return typeof value === "string" ? hashed(value) : value;
  const entries = Object.entries(value)
    .filter(([name]) => !OF_HELM.includes(name))
    .map(([name, item]) => [name, comparable(item, hashed)]);
  return Object.fromEntries(entries.filter(([, item]) => item !== undefined && !(typeof item === "object" && Object.keys(item).length === 0)));
}

test("the chart and the kustomize overlay make the same objects", () => {
  const kustomized = objectsOf(run("kubectl/kubectl", "kustomize", overlay));
  // kustomize puts a hash of the content after the names of generated objects; Helm has an annotation instead.
  const generated = kustomized.filter(({ kind }) => ["ConfigMap", "Secret"].includes(kind)).map(({ metadata }) => metadata.name);
  const hashed = (text) => (generated.includes(text) ? text.replace(/-[0-9a-z]{10}$/, "") : text);
  // What a chart leaves to others: its namespace, and secrets.
  const ofBoth = kustomized.filter(({ kind }) => !["Namespace", "Secret"].includes(kind));
  const expected = new Map(ofBoth.map((object) => comparable(object, hashed)).map((object) => [key(object), object]));
  const made = new Map(rendered("seedbed", ...EXAMPLE).map((object) => comparable(object, (text) => text)).map((object) => [key(object), object]));
  assert.deepEqual([...made.keys()].sort(), [...expected.keys()].sort());
  assert.ok(made.size >= 15);
  for (const [name, object] of made) {
    // helm template writes the namespace nowhere; --namespace decides.
    const { namespace, ...metadata } = expected.get(name).metadata;
    assert.equal(namespace, "seedbed", name);
    // Each of Helm's objects says what it is part of; kustomize names only what it selects.
    const want = { ...expected.get(name), metadata };
    assert.deepEqual(object, want, name);
  }
});

test("two releases in one namespace have no name and no pod in common", () => {
  const [one, other] = ["seedbed", "eu"].map((release) => rendered(release, ...EXAMPLE));
  const names = one.map(key);
  for (const object of other) {
    assert.ok(!names.includes(key(object)), key(object));
    assert.equal(object.metadata.labels["app.kubernetes.io/instance"], "eu", key(object));
  }
  const selectors = (objects) =>
    objects.flatMap(({ kind, spec }) => (kind === "Deployment" || kind === "PodDisruptionBudget" ? [spec.selector.matchLabels] : kind === "Service" ? [spec.selector] : kind === "NetworkPolicy" ? [spec.podSelector.matchLabels] : []));
  for (const selector of selectors(other)) assert.equal(selector["app.kubernetes.io/instance"], "eu");
  assert.equal(selectors(other).length, 8);
});

test("values that cannot be right are refused, and say which", () => {
  const refused = (args, message) => {
    const { status, stderr } = execute("helm/helm", "template", "seedbed", chart, ...args);
    assert.notEqual(status, 0, args.join(" "));
    assert.match(stderr, message);
  };
  refused(["--set", "ingress.host=a.example.com"], /settings: give your seedbed.toml/);
  refused(SETTINGS, /ingress\.host/);
  refused([...EXAMPLE, "--set", "worker.slot=5"], /slot/);
  refused([...EXAMPLE, "--set", "worker.slots=0"], /slots/);
  refused([...EXAMPLE, "--set", "worker.existingSecret="], /existingSecret/);
  refused([...EXAMPLE, "--set", "coordinator.env.SEEDBED_TOKEN__SECRET=abc"], /SEEDBED_TOKEN__SECRET/);
  refused([...EXAMPLE, "--set", "coordinator.env.AWS_SECRET_ACCESS_KEY=abc"], /AWS_SECRET_ACCESS_KEY/);
  refused([...EXAMPLE, "--set", "networkPolicies.workerPorts={70000}"], /workerPorts/);
});

test("what is switched off is not made, and what is chosen is used", () => {
  const off = ["scaling", "run", "gc", "ingress", "networkPolicies", "monitoring"].flatMap((part) => ["--set", `${part}.enabled=false`]);
  const least = rendered("seedbed", ...SETTINGS, ...off, "--set", "worker.replicas=3,serviceAccount.existing=own,existingConfigMap=mine");
  const kinds = least.map(key).sort();
  assert.deepEqual(kinds, ["Deployment seedbed", "Deployment seedbed-worker", "PodDisruptionBudget seedbed", "PodDisruptionBudget seedbed-worker", "Service seedbed"]);
  const worker = least.find((object) => key(object) === "Deployment seedbed-worker").spec;
  assert.equal(worker.replicas, 3);
  assert.equal(worker.template.spec.serviceAccountName, "own");
  assert.equal(worker.template.spec.volumes[0].configMap.name, "mine");

  const chosen = rendered("seedbed", ...EXAMPLE, "--set", "worker.slots=8,worker.graceMinutes=10,worker.image.tag=sha256:abc,scaling.oldestJobSeconds=0,image.pullPolicy=Always,image.pullSecrets={pull}", "--set-string", "worker.env.AWS_REGION=eu-central-1", "--set", "worker.nodeSelector.disk=fast");
  const find = (name) => chosen.find((object) => key(object) === name).spec;
  const pod = find("Deployment seedbed-worker").template.spec;
  const [container] = pod.containers;
  assert.equal(container.image, "registry.example.com/seedbed-worker@sha256:abc");
  assert.equal(container.imagePullPolicy, "Always");
  assert.deepEqual(pod.imagePullSecrets, [{ name: "pull" }]);
  assert.deepEqual(pod.nodeSelector, { disk: "fast" });
  assert.equal(pod.terminationGracePeriodSeconds, 660);
  const variables = Object.fromEntries(container.env.map(({ name, value }) => [name, value]));
  assert.equal(variables.SEEDBED_WORKER__SLOTS, "8");
  assert.equal(variables.SEEDBED_WORKER__GRACE, "10m");
  assert.equal(variables.AWS_REGION, "eu-central-1");
  const { triggers } = find("ScaledObject seedbed-worker");
  assert.deepEqual(triggers.map(({ type, metadata }) => [type, metadata.value]), [["rabbitmq", "8"]]);
});

test("changed settings restart the pods", () => {
  const checksum = (...args) => rendered("seedbed", ...EXAMPLE, ...args).find(({ kind }) => kind === "Deployment").spec.template.metadata.annotations["checksum/settings"];
  const other = join(scratch, "seedbed.toml");
  writeFileSync(other, '[powersync]\nendpoint = "https://other.example.com"\n');
  assert.notEqual(checksum(), checksum("--set-file", `settings=${other}`));
});

test("helm finds nothing to say against the chart, and its README has each value with its default", () => {
  const linted = run("helm/helm", "lint", "--strict", chart, ...EXAMPLE);
  assert.match(linted, /0 chart\(s\) failed/);
  const table = readFileSync(join(chart, "README.md"), "utf8");
  const values = parse(readFileSync(join(chart, "values.yaml"), "utf8"));
  const leaves = (value, path) =>
    Object.entries(value).flatMap(([name, item]) => {
      const inner = [...path, name];
      const isPart = item && typeof item === "object" && !Array.isArray(item) && Object.keys(item).length > 0 && !["resources", "annotations"].includes(name);
      return isPart ? leaves(item, inner) : [[inner.join("."), item]];
    });
  const shown = (item) => (["string", "number", "boolean"].includes(typeof item) ? String(item) : JSON.stringify(item));
  for (const [name, item] of leaves(values, [])) {
    const row = table.split("\n").find((line) => line.startsWith(`| \`${name}\` |`));
    assert.ok(row, `${name} has no row in the chart's README`);
    const cell = row.split(" | ")[1].trim();
    const standard = ["", "{}", "[]"].includes(shown(item)) ? "–" : `\`${shown(item)}\``;
    if (!["resources", "annotations"].includes(name.split(".").pop())) assert.equal(cell, standard, name);
  }
  const { version } = parse(readFileSync(join(chart, "Chart.yaml"), "utf8"));
  assert.match(readFileSync(join(root, "Cargo.toml"), "utf8"), new RegExp(`^version = "${version.replaceAll(".", "\\.")}"$`, "m"), "the chart's version is the programs'");
});
