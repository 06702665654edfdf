// Runs services of a compose file with podman: what deploy/compose.yaml uses of the Compose specification, and nothing else. Each service
// has an address of its own in a network of its own, and the others' names.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Longer than anything takes that is waited for, on a busy machine. */
const LIMIT = 180_000;

/** Modest, since a machine may not allow what podman would ask for. */
const LIMITS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"];

const KNOWN = ["image", "build", "command", "environment", "volumes", "healthcheck", "depends_on", "ports", "hostname", "read_only", "cap_drop", "security_opt", "tmpfs", "restart", "stop_grace_period", "deploy"];

export class Compose {
  /** The file's services, with these variables; images and containers are in `folder`. */
  constructor(file, variables, { folder, tools }) {
    this.place = dirname(file);
    const { parse } = createRequire(join(tools, "package.json"))("yaml");
    const text = readFileSync(file, "utf8").replace(/\$\{(\w+):-([^}]*)\}/g, (_, name, standard) => variables[name] ?? standard);
    this.file = parse(text, { merge: true });
    const places = spawnSync("bash", ["-c", '. "$1"; containers_in "$2"; echo "$storage"; echo "$running"', "bash", new URL("podman.sh", import.meta.url).pathname, folder], { encoding: "utf8" });
    const [storage, running] = places.stdout.split("\n");
    this.options = ["--root", storage, "--runroot", running, "--runtime", "runc", "--cgroup-manager", "cgroupfs"];
    // Other tests on this machine have other names and networks.
    this.name = `seedbed-${createHash("sha256").update(folder).digest("hex").slice(0, 6)}`;
    const subnet = parseInt(this.name.slice(-2), 16);
    this.address = (host) => `10.213.${subnet}.${host}`;
    this.hosts = new Map(Object.keys(this.file.services).map((service, index) => [service, this.address(10 + index)]));
    this.extra = {};
  }

  /** Runs podman, which has to end with `code`. */
  podman(args, { code = 0, input } = {}) {
    const { status, error, stdout, stderr } = spawnSync("podman", [...this.options, ...args], { encoding: "utf8", maxBuffer: 1 << 26, timeout: LIMIT, input });
    assert.equal(error, undefined, `podman: ${error}`);
    if (code !== null) assert.equal(status, code, `podman ${args.join(" ")}\n${stdout}${stderr}`);
    return { status, stdout, stderr };
  }

  /** Runs an image by itself. */
  run(args, ended) {
    return this.podman(["run", "--rm", ...LIMITS, ...args], ended);
  }

  start() {
    this.stop();
    this.podman(["network", "create", "--subnet", this.address("0/24"), this.name]);
  }

  /** Removes everything that was started. */
  stop() {
    const { stdout } = this.podman(["ps", "--all", "--quiet", "--filter", `label=of=${this.name}`]);
    const containers = stdout.split("\n").filter(Boolean);
    if (containers.length > 0) this.podman(["rm", "--force", "--volumes", "--time", "0", ...containers]);
    const volumes = this.podman(["volume", "ls", "--quiet"]).stdout.split("\n").filter((name) => name.startsWith(`${this.name}_`));
    if (volumes.length > 0) this.podman(["volume", "rm", "--force", ...volumes]);
    this.podman(["network", "rm", "--force", this.name], { code: null });
  }

  container(service, replica = 1) {
    return `${this.name}_${service}_${replica}`;
  }

  /** The arguments of `podman create` or `podman run` for a service. */
  arguments(name, { replica = 1, options = [], environment = {} } = {}) {
    const service = this.file.services[name];
    for (const key of Object.keys(service)) assert.ok(KNOWN.includes(key), `${name}: ${key} is not understood here`);
    const args = ["--label", `of=${this.name}`, "--network", this.name, ...LIMITS];
    args.push("--ip", replica === 1 ? this.hosts.get(name) : this.address(100 + replica));
    // Replicas share no name here; the others have one each.
    for (const [other, address] of this.hosts) args.push("--add-host", `${other}:${address}`);
    for (const [key, value] of Object.entries({ ...service.environment, ...environment })) args.push("--env", `${key}=${value}`);
    for (const port of service.ports ?? []) args.push("--publish", port);
    if (service.hostname) args.push("--hostname", service.hostname);
    if (service.read_only) args.push("--read-only", "--read-only-tmpfs=false");
    for (const capability of service.cap_drop ?? []) args.push("--cap-drop", capability);
    for (const option of service.security_opt ?? []) args.push("--security-opt", option.replace(":true", ""));
    for (const path of service.tmpfs ?? []) args.push("--tmpfs", path);
    for (const volume of service.volumes ?? []) {
      if (volume.startsWith("/")) args.push("--volume", volume);
      else if (volume.startsWith("./")) args.push("--volume", join(this.place, volume));
      else args.push("--volume", `${this.name}_${volume}`);
    }
    if (service.stop_grace_period) args.push("--stop-timeout", parseInt(service.stop_grace_period));
    if (service.healthcheck?.test) {
      const [kind, ...command] = service.healthcheck.test;
      assert.equal(kind, "CMD", name);
      args.push("--health-cmd", JSON.stringify(command), "--health-interval", "disable");
    }
    args.push(...options, service.image, ...(service.command ?? []));
    return args;
  }

  /** Starts a service once those that it waits for are as it asks. */
  async up(name, options = {}) {
    const service = this.file.services[name];
    for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) await this.is(other, condition);
    const replicas = service.deploy?.replicas ?? 1;
    for (let replica = 1; replica <= replicas; replica += 1) {
      this.podman(["run", "--detach", "--name", this.container(name, replica), ...this.arguments(name, { replica, ...options })]);
    }
  }

  async is(name, condition) {
    await until(`${name}: ${condition}`, () => {
      const container = this.container(name);
      const { Status, ExitCode } = this.state(container);
      if (Status === "exited" && condition !== "service_completed_successfully") assert.fail(`${name} has ended: ${this.log(name)}`);
      if (condition === "service_healthy") return this.isHealthy(name);
      if (condition === "service_started") return Status === "running";
      assert.equal(condition, "service_completed_successfully");
      if (Status === "exited") assert.equal(ExitCode, 0, this.log(name));
      return Status === "exited";
    }, () => this.log(name));
  }

  isHealthy(name, replica = 1) {
    return this.podman(["healthcheck", "run", this.container(name, replica)], { code: null }).status === 0;
  }

  state(container) {
    return JSON.parse(this.podman(["inspect", container]).stdout)[0].State;
  }

  log(name, replica = 1) {
    const { stdout, stderr } = this.podman(["logs", this.container(name, replica)], { code: null });
    return stdout + stderr;
  }

  /** Runs a command in a service's container. */
  exec(name, command, { code = 0, replica = 1 } = {}) {
    return this.podman(["exec", this.container(name, replica), ...command], { code });
  }

  /** Runs a service's image once, as `docker compose run` does, with other arguments. */
  once(name, command, { code = 0, options = [], environment = {} } = {}) {
    const args = this.arguments(name, { options: ["--rm", ...options], environment });
    args.splice(args.indexOf("--ip"), 2);
    const command_ = this.file.services[name].command ?? [];
    return this.podman(["run", ...args.slice(0, args.length - command_.length), ...command], { code });
  }
}

/** Asks until `condition` holds; `told` says more where it does not in time. */
export async function until(what, condition, told = () => "") {
  const deadline = Date.now() + LIMIT;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, `not in time: ${what}\n${told()}`);
    await sleep(100);
  }
}

/** A port of this machine that is free now. */
export function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
