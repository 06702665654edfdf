// What the tests of deploy/ have in common: where things are, the tools that tests/run.sh installs, and the objects of the overlay.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

export const { DEPLOY_ROOT: root, DEPLOY_TOOLS: tools, DEPLOY_SEEDBED: seedbed } = process.env;
export const require = createRequire(join(tools, "package.json"));
/** A module by its file, which not every package names for CommonJS. */
export const load = (path) => import(pathToFileURL(join(tools, "node_modules", path)));
const { parse, parseAllDocuments } = require("yaml");
export { parse };
export const deploy = join(root, "deploy");

export const text = (...path) => readFileSync(join(deploy, ...path), "utf8");
export const python = (name) => join(tools, "python/bin", name);

/** What a program prints, which has to end well. */
export function run(program, args, options = {}) {
  const { status, error, stdout, stderr } = spawnSync(program, args, {
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
    timeout: 120_000,
    ...options,
  });
  assert.equal(error, undefined, `${program} cannot be run: ${error}`);
  assert.equal(status, 0, `${program} ${args.join(" ")}\n${stdout}${stderr}`);
  return stdout;
}

const kustomized = run(join(tools, "kubectl/kubectl"), ["kustomize", join(deploy, "kubernetes/overlays/example")]);
export const objects = parseAllDocuments(kustomized).map((document) => document.toJS());
export const of = (kind) => objects.filter((object) => object.kind === kind);
export const named = (kind, name) => of(kind).find((object) => object.metadata.name === name);
