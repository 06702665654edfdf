// What is under deploy/ is checked with the tools that would use it, as far as they run without Docker and Kubernetes:
// kustomize, the schemas of Kubernetes, KEDA, the Prometheus Operator, Compose and PowerSync, hadolint and shellcheck.
// tests/run.sh installs them; tests/it/deploy/files.rs starts this. What is in deploy/monitoring: monitoring.test.js.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { deploy, load, named, objects, of, parse, python, require, root, run, seedbed, text, tools } from "./support.js";

const scratch = mkdtempSync(join(tmpdir(), "seedbed-deploy-"));
after(() => rmSync(scratch, { recursive: true }));

/** PowerSync's streams in one API process, of which the example leaves half to apps. */
const STREAMS_FOR_SEEDBED = 200 / 2;

/** Each pod's labels and spec, with a name for messages. */
const pods = objects.flatMap(({ kind, metadata, spec }) => {
  const template = spec?.template ?? spec?.jobTemplate?.spec.template;
  return template ? [{ name: `${kind} ${metadata.name}`, labels: template.metadata.labels, spec: template.spec }] : [];
});

// As Compose reads it where no variable is set.
const compose = parse(text("compose.yaml").replace(/\$\{\w+:-([^}]*)\}/g, "$1"), { merge: true });
const services = Object.entries(compose.services);

/** "5m" or "330s" in seconds. */
function seconds(duration) {
  const [, number, unit] = /^(\d+)(s|m|h)$/.exec(duration);
  return number * { s: 1, m: 60, h: 3600 }[unit];
}

test("what kustomize makes fits the schemas of Kubernetes, KEDA and the Prometheus Operator", async () => {
  const custom = {
    "keda.sh/v1alpha1": await load("@kubernetes-models/keda/keda.sh/v1alpha1/index.js"),
    "monitoring.coreos.com/v1": await load("@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/index.js"),
  };
  const file = join(scratch, "kubernetes.yaml");
  const builtIn = objects.filter(({ apiVersion }) => !(apiVersion in custom));
  writeFileSync(file, builtIn.map((object) => JSON.stringify(object)).join("\n---\n"));
  const validated = run(python("kubernetes-validate"), ["--strict", "--kubernetes-version", "1.34", file]);
  assert.equal(validated.match(/ passed for resource /g)?.length, builtIn.length, validated);

  const customized = objects.filter(({ apiVersion }) => apiVersion in custom);
  assert.equal(customized.length, 5, "two of KEDA, three of the Prometheus Operator");
  for (const object of customized) {
    const Model = custom[object.apiVersion][object.kind];
    assert.doesNotThrow(() => new Model(object).validate(), `${object.kind} ${object.metadata.name}`);
  }
});

test("every ConfigMap and Secret that is named exists", () => {
  const references = pods.flatMap(({ spec }) => [
    ...spec.volumes.flatMap(({ configMap }) => (configMap ? [["ConfigMap", configMap.name]] : [])),
    ...spec.containers.flatMap(({ envFrom }) => envFrom.map(({ secretRef }) => ["Secret", secretRef.name])),
  ]);
  for (const { spec } of of("TriggerAuthentication")) {
    for (const { name, key } of spec.secretTargetRef) {
      references.push(["Secret", name]);
      assert.ok(named("Secret", name)?.data[key], `${name} has ${key}`);
    }
  }
  assert.ok(references.length >= 9);
  for (const [kind, name] of references) assert.ok(named(kind, name), `${kind} ${name}`);
});

test("pods run without rights, write nowhere but where they work, and ask for what they need", () => {
  assert.equal(pods.length, 4);
  for (const { name, spec } of pods) {
    assert.equal(spec.automountServiceAccountToken, false, name);
    assert.equal(spec.enableServiceLinks, false, name);
    assert.equal(spec.securityContext.runAsNonRoot, true, name);
    assert.equal(spec.securityContext.seccompProfile.type, "RuntimeDefault", name);
    for (const { image, resources, securityContext } of spec.containers) {
      assert.match(image, /:\d+\.\d+\.\d+$/, name);
      assert.equal(securityContext.readOnlyRootFilesystem, true, name);
      assert.equal(securityContext.allowPrivilegeEscalation, false, name);
      assert.deepEqual(securityContext.capabilities.drop, ["ALL"], name);
      assert.ok(resources.requests.cpu && resources.requests.memory && resources.limits.memory, name);
    }
  }
  const { spec } = pods.find(({ name }) => name === "Deployment seedbed-worker");
  const work = spec.volumes.find(({ emptyDir }) => emptyDir);
  assert.ok(work.emptyDir.sizeLimit);
  const [container] = spec.containers;
  const mount = container.volumeMounts.find(({ name }) => name === work.name).mountPath;
  for (const variable of ["SEEDBED_WORKER__DIRECTORY", "SQLITE_TMPDIR"]) {
    assert.equal(container.env.find(({ name }) => name === variable).value, mount, variable);
  }
});

test("each pod has a network policy for both directions", () => {
  const selects = ({ matchLabels = {}, matchExpressions = [] }, labels) =>
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values }) => operator === "In" && values.includes(labels[key]));
  for (const { name, labels } of pods) {
    const policies = of("NetworkPolicy").filter(({ spec }) => selects(spec.podSelector, labels));
    assert.equal(policies.length, 1, name);
    assert.deepEqual(policies[0].spec.policyTypes, ["Ingress", "Egress"], name);
  }
});

test("workers are scaled by their slots, within PowerSync's limit, and get the time that they were promised", () => {
  const { spec } = pods.find(({ name }) => name === "Deployment seedbed-worker");
  const setting = (name) => spec.containers[0].env.find((variable) => variable.name === name).value;
  const slots = Number(setting("SEEDBED_WORKER__SLOTS"));
  const scaled = named("ScaledObject", "seedbed-worker").spec;
  const [trigger] = scaled.triggers;
  assert.equal(Number(trigger.metadata.value), slots);
  assert.equal(trigger.metadata.queueName, "seed.jobs");
  assert.equal(trigger.metadata.protocol, "http");
  assert.equal(trigger.metadata.excludeUnacknowledged, "false");
  assert.equal(scaled.maxReplicaCount, Math.floor(STREAMS_FOR_SEEDBED / slots));
  assert.equal(named("Deployment", "seedbed-worker").spec.replicas, undefined, "KEDA's to say");
  assert.ok(spec.terminationGracePeriodSeconds > seconds(setting("SEEDBED_WORKER__GRACE")));
});

test("monitors, services and probes name ports that exist", () => {
  const ports = (app) =>
    pods.find(({ labels }) => labels["app.kubernetes.io/name"] === app).spec.containers[0].ports.map(({ name }) => name);
  for (const { spec } of of("PodMonitor")) {
    const known = ports(spec.selector.matchLabels["app.kubernetes.io/name"]);
    for (const { port } of spec.podMetricsEndpoints) assert.ok(known.includes(port), port);
  }
  const [service] = of("Service");
  for (const { targetPort } of service.spec.ports) assert.ok(ports("seedbed").includes(targetPort), targetPort);
  const [monitor] = of("ServiceMonitor");
  const servicePorts = service.spec.ports.map(({ name }) => name);
  for (const { port } of monitor.spec.endpoints) assert.ok(servicePorts.includes(port), port);
  const [ingress] = of("Ingress");
  const { backend } = ingress.spec.rules[0].http.paths[0];
  assert.equal(backend.service.name, service.metadata.name);
  assert.equal(backend.service.port.name, "http", "never the port that answers without a token");
});

test("the settings in manifests, compose.yaml and the image are Seedbed's", () => {
  const decode = (data) => Object.entries(data).map(([key, value]) => [key, Buffer.from(value, "base64").toString()]);
  const settings = [
    ...pods.map(({ name, spec: { containers: [container] } }) => ({
      name,
      environment: Object.fromEntries([
        ...container.env.map(({ name, value }) => [name, value]),
        ...container.envFrom.flatMap(({ secretRef }) => decode(named("Secret", secretRef.name).data)),
      ]),
      toml: of("ConfigMap").find(({ data }) => "seedbed.toml" in data).data["seedbed.toml"],
    })),
    ...["serve", "worker", "run"].map((name) => ({
      name: `compose ${name}`,
      environment: compose.services[name].environment,
      toml: text("compose/seedbed.toml"),
    })),
    {
      name: "Dockerfile",
      environment: Object.fromEntries([...text("docker/Dockerfile").matchAll(/(SEEDBED_\w+)=(\S+)/g)].map(([, ...pair]) => pair)),
      toml: "",
    },
  ];
  for (const { name, environment, toml } of settings) {
    const file = join(scratch, "seedbed.toml");
    writeFileSync(file, toml);
    const env = { PATH: process.env.PATH, ...environment, SEEDBED_CONFIG: file };
    const effective = run(seedbed, ["--json", "config"], { env, cwd: scratch });
    const lines = effective.trim().split("\n");
    const given = Object.keys(environment).filter((key) => key.startsWith("SEEDBED_") && key !== "SEEDBED_CONFIG");
    assert.ok(given.length >= 2, name);
    for (const key of given) assert.ok(lines.some((line) => line.includes(key)), `${name}: ${key}`);
    const { status, stderr } = accepts({ ...environment, SEEDBED_CONFIG: file });
    assert.equal(status, 3, `${name}: ${stderr}`);
    assert.match(stderr, /there is no catalog/, name);
    assert.ok(!effective.includes("demo-only") && !effective.includes("example-only"), `${name}: secrets are not shown`);
  }
  const misspelt = accepts({ SEEDBED_WORKER__SLOT: "4" });
  assert.equal(misspelt.status, 2);
  assert.match(misspelt.stderr, /SEEDBED_WORKER__SLOT/);
});

/** What comes of a command that reads all settings, and then finds no catalog. */
function accepts(environment) {
  const env = { PATH: process.env.PATH, SEEDBED_POWERSYNC__ENDPOINT: "http://powersync", ...environment };
  env.SEEDBED_CATALOG__URL = "sqlite:none.db";
  return spawnSync(seedbed, ["status"], { encoding: "utf8", env, cwd: scratch });
}

test("compose.yaml fits the Compose specification", () => {
  run(python("check-jsonschema"), ["--builtin-schema", "vendor.compose-spec", join(deploy, "compose.yaml")]);
});

test("compose.yaml pins its images, opens ports to this machine alone, and waits for what is healthy", () => {
  for (const [name, service] of services) {
    if (!service.build) assert.match(service.image, /:(?!latest)[\w.-]*\d[\w.-]*$/, name);
    for (const port of service.ports ?? []) assert.match(port, /^127\.0\.0\.1:/, `${name} ${port}`);
    for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) {
      assert.ok(compose.services[other], `${name} waits for ${other}`);
      // Seedbed's images bring their own check.
      const { healthcheck, build } = compose.services[other];
      if (condition === "service_healthy") assert.ok(healthcheck?.test ?? build, `${name} waits for ${other}`);
    }
    assert.equal(service.configs, undefined, `${name}: podman-compose does not know configs`);
    for (const volume of service.volumes ?? []) {
      const [source] = volume.split(":");
      if (source.startsWith("./")) assert.ok(existsSync(join(deploy, source)), source);
      // A path alone is a volume of this container.
      else if (!source.startsWith("/")) assert.ok(source in compose.volumes, source);
    }
  }
  assert.equal(compose.services.worker.deploy.replicas, 2);
});

test("PowerSync's configuration fits its schema, trusts Seedbed's key, and its sync config is understood", async () => {
  const environment = { tag: "!env", resolve: (name) => compose.services.powersync.environment[name] };
  const service = parse(text("compose/service.yaml"), { customTags: [environment] });
  const Ajv = require("ajv").default;
  const schema = JSON.parse(readFileSync(join(tools, "node_modules/@powersync/service-schema/json-schema/powersync-config.json")));
  const ajv = new Ajv({ strict: false, allErrors: true });
  assert.ok(ajv.validate(schema, service), ajv.errorsText());
  const [key] = service.client_auth.jwks.keys;
  assert.equal(key.k, compose.services.worker.environment.SEEDBED_TOKEN__SECRET);
  const seedbedToml = text("compose/seedbed.toml");
  assert.match(seedbedToml, new RegExp(`^kid = "${key.kid}"$`, "m"));
  assert.match(seedbedToml, new RegExp(`^audience = "${service.client_auth.audience[0]}"$`, "m"));
  assert.match(seedbedToml, new RegExp(`^endpoint = "http://powersync:${service.port}"$`, "m"));

  const { SqlSyncRules } = await load("@powersync/service-sync-rules/dist/index.js");
  const options = { defaultSchema: "public", throwOnError: true };
  const { errors } = SqlSyncRules.fromYaml(text("compose/sync-config.yaml"), options);
  assert.deepEqual(errors, []);
  assert.throws(() => SqlSyncRules.fromYaml("bucket_definitions: {a: {data: [SELECT]}}", options));
});

test("the Dockerfile is as hadolint wants it", () => {
  run(python("hadolint"), ["--failure-threshold", "style", join(deploy, "docker/Dockerfile")]);
});

test("what the Dockerfile copies is not ignored", () => {
  const kept = text("docker/Dockerfile.dockerignore").split("\n").filter((line) => line.startsWith("!")).map((line) => line.slice(1));
  for (const path of kept) assert.ok(existsSync(join(root, path)), path);
  for (const path of ["Cargo.toml", "Cargo.lock", ".cargo", "protocol", "worker", "coordinator", "tests"]) {
    assert.ok(kept.includes(path), path);
  }
  // Dependencies are compiled before the sources are there, from the manifest of each member.
  const [, members] = /^members = \[(.*)\]$/m.exec(readFileSync(join(root, "Cargo.toml"), "utf8"));
  for (const member of JSON.parse(`[${members}]`)) assert.ok(text("docker/Dockerfile").includes(`\nCOPY ${member}/Cargo.toml ${member}/\n`), member);
  for (const [, path] of text("docker/Dockerfile").matchAll(/^COPY --chmod=\d+ (\S+)/gm)) assert.ok(kept.includes(path), path);
  for (const [path] of text("docker/Dockerfile").matchAll(/\bdeploy\/\S+\.sh\b/g)) assert.ok(kept.includes(path), path);
});

test("shell scripts are as shellcheck wants them", () => {
  const folders = [deploy, join(deploy, "docker"), join(deploy, "releases"), ...["", "containers", "containers/servers"].map((name) => join(root, "tests", name))];
  const scripts = folders.flatMap((directory) =>
    readdirSync(directory).filter((name) => name.endsWith(".sh")).map((name) => join(directory, name)),
  );
  assert.ok(scripts.length >= 6);
  run(python("shellcheck"), ["--external-sources", ...scripts, join(root, ".ci/run")], { cwd: root });
});

test("the image's health check tells healthy from unhealthy and from nothing", async () => {
  let status = 200;
  const paths = [];
  const server = createServer((request, response) => {
    paths.push(request.url);
    response.writeHead(status).end();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  const check = async () => {
    const [code] = await once(spawn(join(deploy, "docker/healthcheck.sh"), [port], { stdio: "ignore" }), "exit");
    return code;
  };
  assert.equal(await check(), 0);
  status = 503;
  assert.notEqual(await check(), 0);
  assert.deepEqual(paths, ["/healthz", "/healthz"]);
  server.close();
  await once(server, "close");
  assert.notEqual(await check(), 0);
});

test("the commands that operators are told exist", () => {
  const pages = ["OPERATIONS.md", "CLUSTER.md", "CONFIGURE.md", "DOWNLOADS.md"].map((page) => text(page)).join("\n");
  const blocks = [...pages.matchAll(/^```sh\n(.*?)^```/gms)].flatMap(([, block]) => block.split("\n"));
  const commands = blocks.map((line) => line.replace(/ +#.*/, "")).filter((line) => line.startsWith("seedbed "));
  const quoted = [...pages.matchAll(/`(seedbed (?!-worker)[^`]+)`/g)].map(([, command]) => command);
  const rules = [...text("monitoring/alerts.yaml").matchAll(/`(seedbed [^`]+)`/g)].map(([, command]) => command);
  assert.ok(commands.length >= 10 && quoted.length >= 10 && rules.length >= 3);
  const env = { PATH: process.env.PATH };
  // What a shell does with the output is no part of them.
  const all = [...commands, ...quoted, ...rules].map((command) => command.replace(/ [>|] .*/, ""));
  for (const command of new Set(all)) {
    // The help of a command line that is not understood is an error.
    run(seedbed, [...command.split(" ").slice(1), "--help"], { env, cwd: scratch });
  }
  assert.notEqual(spawnSync(seedbed, ["run", "--no-such", "--help"], { env }).status, 0);
});

test("coordinators reach what `seedbed check` tries", () => {
  // RabbitMQ and its management API, with and without TLS; Postgres; the object storage.
  for (const name of ["seedbed", "seedbed-jobs"]) {
    const allowed = named("NetworkPolicy", name).spec.egress.flatMap(({ ports }) => ports.map(({ port }) => port));
    for (const port of [443, 5432, 5671, 5672, 15671, 15672]) assert.ok(allowed.includes(port), `${name}: ${port}`);
  }
});

test("DNS is reached wherever the cluster has it, and a slow migration is no failure", () => {
  for (const name of ["seedbed", "seedbed-worker", "seedbed-jobs"]) {
    const rules = named("NetworkPolicy", name).spec.egress.filter(({ ports }) => ports.some(({ port }) => port === 53));
    assert.equal(rules.length, 1, name);
    assert.ok(!rules[0].to, `${name}: a cache on the node is no pod`);
  }
  const probe = named("Deployment", "seedbed").spec.template.spec.containers[0].startupProbe;
  assert.ok(probe.periodSeconds * probe.failureThreshold >= 600);
});
