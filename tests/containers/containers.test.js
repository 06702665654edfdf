// deploy/compose.yaml runs: its images, its settings and its network, with podman. The servers' images are of this machine's Debian, and
// PowerSync is the stand-in: servers/Containerfile. tests/run.sh makes them; tests/it/containers starts this.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { chmodSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Compose, freePort, until } from "./compose.js";

const { DEPLOY_ROOT: root, DEPLOY_TOOLS: tools, CONTAINERS: folder } = process.env;
const scratch = mkdtempSync(join(tmpdir(), "seedbed-containers-"));
const STORES = 40;
/** What the manifests for Kubernetes allow. */
const MEMORY = { serve: "512m", worker: "2g" };

let compose;
const port = {};

before(async () => {
  for (const name of ["SEEDBED_PORT", "SEEDBED_HEALTH_PORT", "POWERSYNC_PORT", "JAEGER_PORT", "OTLP_PORT", "RABBITMQ_PORT", "MINIO_PORT", "MINIO_CONSOLE_PORT"]) port[name] = await freePort();
  compose = new Compose(join(root, "deploy/compose.yaml"), port, { folder, tools });
  compose.start();
  for (const name of ["postgres", "rabbitmq", "minio", "jaeger"]) await compose.up(name);
  for (const name of ["bucket", "powersync-storage", "powersync"]) await compose.up(name);
});
after(() => {
  compose?.stop();
  rmSync(scratch, { recursive: true });
});

const seedbed = (...args) => compose.exec("serve", ["seedbed", ...args]);
const json = (text) => text.trim().split("\n").map((line) => JSON.parse(line));
const snapshots = () => json(seedbed("--json", "snapshots").stdout);

test("the image is one program with an entry point, for a user without rights", () => {
  const help = compose.run(["seedbed:local", "--help"]).stdout;
  assert.match(help, /Usage: seedbed/);
  assert.match(compose.run(["seedbed-worker:local", "--help"]).stdout, /Usage: seedbed-worker/);
  for (const image of ["seedbed:local", "seedbed-worker:local"]) {
    const [{ Config: config }] = JSON.parse(compose.podman(["inspect", image]).stdout);
    assert.equal(config.User, "10001:10001");
    assert.equal(config.StopSignal, "SIGTERM");
    assert.match(config.Labels["org.opencontainers.image.licenses"], /Apache-2.0/);
  }
  const id = compose.run(["--entrypoint", "id", "seedbed:local"]).stdout;
  assert.match(id, /^uid=10001\(seedbed\) gid=10001\(seedbed\) groups=10001\(seedbed\)$/m);
});

test("settings that its user may not read are named, with whose they are and what to do", () => {
  const file = join(scratch, "seedbed.toml");
  copyFileSync(join(root, "deploy/compose/seedbed.toml"), file);
  chmodSync(file, 0o600);
  const { stderr } = compose.run(["--volume", `${file}:/etc/seedbed/seedbed.toml:ro`, "--env", "SEEDBED_CONFIG=/etc/seedbed/seedbed.toml", "seedbed:local", "check"], { code: 2 });
  assert.match(stderr, /belongs to user 0 and group 0 with mode 600, and this process is user 10001 of group 10001/);
  assert.match(stderr, /chgrp 10001 .* && chmod 640/);
  chmodSync(file, 0o644);
  const { stderr: read } = compose.run(["--volume", `${file}:/etc/seedbed/seedbed.toml:ro`, "--env", "SEEDBED_CONFIG=/etc/seedbed/seedbed.toml", "seedbed:local", "check"], { code: null });
  assert.doesNotMatch(read, /cannot read the settings file/);
});

test("the coordinator serves, says that it is well, and `check` passes in its container, where only workers' part is not tried", async () => {
  await compose.up("serve", { options: ["--memory", MEMORY.serve] });
  await compose.is("serve", "service_healthy");
  const checked = seedbed("check").stdout;
  assert.match(checked, /catalog/);
  assert.match(checked, /^ok +downloads .*by the endpoint of this machine/m);
  assert.match(checked, /^- +powersync +not tried: this is no machine for a worker/m);
  const answer = await fetch(`http://127.0.0.1:${port.SEEDBED_HEALTH_PORT}/readyz`);
  assert.equal(answer.status, 200);
});

test("40 stores are seeded by two workers, though one is killed on the way", async () => {
  // Slow enough that it is killed in the middle.
  await compose.up("worker", { options: ["--memory", MEMORY.worker], environment: { SEEDBED_WORKER__SLOTS: "1" } });
  for (const replica of [1, 2]) await until("healthy", () => compose.isHealthy("worker", replica), () => compose.log("worker", replica));
  await compose.up("run");
  await compose.is("run", "service_completed_successfully");
  const done = () => snapshots().length;
  await until("some are seeded", () => done() >= 3, () => compose.log("worker"));
  assert.ok(done() < STORES, "a worker is killed before all is done");
  compose.podman(["kill", "--signal", "KILL", compose.container("worker", 1)]);
  await until("all are seeded", () => done() === STORES, () => compose.log("worker", 2));
  for (const { store_id: store, tables } of snapshots()) {
    const number = Number(store.slice("store-".length));
    assert.deepEqual(tables, [{ table: "products", rows: number * 10 }], store);
  }
  assert.match(seedbed("verify", "--sample", String(STORES)).stdout, /^40 of 40 are good$/m);
});

test("what a device downloads is the snapshot that it was promised", async () => {
  const { DatabaseSync } = await import("node:sqlite");
  for (const number of [1, 17, 40]) {
    const store = `store-${String(number).padStart(3, "0")}`;
    const answer = await fetch(`http://127.0.0.1:${port.SEEDBED_PORT}/database?store_id=${store}`);
    assert.equal(answer.status, 200);
    const told = await answer.json();
    // By the endpoint of this machine, not of the network of containers.
    assert.equal(new URL(told.databaseUrl).port, String(port.MINIO_PORT));
    const file = Buffer.from(await (await fetch(told.databaseUrl)).arrayBuffer());
    assert.equal(createHash("sha256").update(file).digest("hex"), told.sha256);
    const path = join(scratch, `${store}.sqlite`);
    writeFileSync(path, file);
    const database = new DatabaseSync(path, { readOnly: true });
    const [{ rows }] = database.prepare("SELECT count(*) AS rows FROM ps_oplog").all();
    assert.equal(rows, number * 10, store);
    database.close();
  }
});

test("a second run by the worker that is left finds everything unchanged", async () => {
  const before = snapshots().map(({ key }) => key).sort();
  compose.once("run", ["run"]);
  assert.deepEqual(snapshots().map(({ key }) => key).sort(), before);
});

test("nothing is written but where it should be, and no right is left", () => {
  for (const name of ["serve", "worker"]) {
    const replica = name === "worker" ? 2 : 1;
    const refused = compose.exec(name, ["sh", "-c", "echo x >/usr/local/bin/x"], { code: null, replica });
    assert.match(refused.stderr, /Read-only file system/, name);
    const status = compose.exec(name, ["cat", "/proc/1/status"], { replica }).stdout;
    assert.match(status, /^Uid:\t10001\t10001\t10001\t10001$/m, name);
    for (const set of ["CapEff", "CapPrm", "CapBnd"]) assert.match(status, new RegExp(`^${set}:\t0+$`, "m"), `${name} ${set}`);
    assert.match(status, /^NoNewPrivs:\t1$/m, name);
  }
  const { stdout: left } = compose.exec("worker", ["find", "/var/lib/seedbed/work", "-type", "f"], { replica: 2 });
  assert.match(left, /^\/var\/lib\/seedbed\/work\/process-[^/]*\/lock\n$/, "jobs leave nothing");
});

test("without a /tmp nothing is called bad that could not be checked", () => {
  const verify = compose.arguments("run");
  const tmpfs = verify.indexOf("--tmpfs");
  verify.splice(tmpfs, 2);
  verify.splice(verify.indexOf("--ip"), 2);
  const { status, stdout, stderr } = compose.run([...verify.slice(0, -2), "verify", "--sample", "2"], { code: null });
  assert.notEqual(status, 0);
  assert.doesNotMatch(stdout + stderr, /^bad:/m);
  assert.match(stdout + stderr, /not checked: store-\d+/);
});

test("memory stays within what the manifests allow", () => {
  for (const [name, replica] of [["serve", 1], ["worker", 2]]) {
    const { OOMKilled } = compose.state(compose.container(name, replica));
    assert.equal(OOMKilled, false, name);
    // In either version of control groups.
    const read = (...files) => compose.exec(name, ["sh", "-c", `cd /sys/fs/cgroup; cat ${files.join(" ")} 2>/dev/null`], { replica, code: null }).stdout.trim();
    const limit = read("memory.max", "memory/memory.limit_in_bytes");
    const peak = read("memory.peak", "memory/memory.max_usage_in_bytes");
    assert.equal(Number(limit), { serve: 2 ** 29, worker: 2 ** 31 }[name], name);
    assert.ok(Number(peak) < Number(limit) / 2, `${name}: ${peak} of ${limit}`);
    console.log(`${name}: ${Math.round(peak / 2 ** 20)} MiB at its peak, of ${Math.round(limit / 2 ** 20)} MiB`);
  }
});

test("SIGTERM ends both programs at once and well", () => {
  for (const [name, replica] of [["worker", 2], ["serve", 1]]) {
    const container = compose.container(name, replica);
    const started = Date.now();
    compose.podman(["stop", container]);
    const seconds = (Date.now() - started) / 1000;
    assert.equal(compose.state(container).ExitCode, 0, compose.log(name, replica));
    assert.ok(seconds < 10, `${name} took ${seconds} s`);
  }
});

test("each job is a trace in Jaeger, from the coordinator's container to the worker's and back", async () => {
  const services = await (await fetch(`http://127.0.0.1:${port.JAEGER_PORT}/api/services`)).json();
  assert.ok(services.data.length >= 2, JSON.stringify(services.data));
  const [worker] = services.data.filter((name) => /worker/.test(name));
  const found = await (await fetch(`http://127.0.0.1:${port.JAEGER_PORT}/api/traces?service=${worker}&limit=20`)).json();
  const whole = found.data.filter(({ processes }) => Object.values(processes).length >= 2);
  assert.ok(whole.length > 0, "a trace has spans of both programs");
});
