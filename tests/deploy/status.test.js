// Whether `seedbed status --json` prints what deploy/status.schema.json says; tests/it/deploy/status.rs collects the answers.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";

const { STATUS_SCHEMA: file, STATUS_ANSWERS: folder, DEPLOY_TOOLS: tools } = process.env;
const Ajv = createRequire(join(tools, "package.json"))("ajv").default;

const read = (path) => JSON.parse(readFileSync(path, "utf8"));
const schema = read(file);
const ajv = new Ajv({ strict: true, allErrors: true, allowUnionTypes: true, validateFormats: false });
const validate = ajv.compile(schema);
const answers = Object.fromEntries(readdirSync(folder).map((name) => [name, read(join(folder, name))]));

test("each answer is as the schema describes it", () => {
  for (const [name, answer] of Object.entries(answers)) {
    assert.ok(validate(answer), `${name}: ${ajv.errorsText(validate.errors)}`);
  }
});

test("what is not described is refused", () => {
  const answer = answers["run.json"];
  assert.ok(!validate({ ...answer, more: 1 }));
  assert.ok(!validate({ ...answer, freshness: { ...answer.freshness, hour: "1" } }));
  assert.ok(!validate({ ...answer, runs: [{ ...answer.runs[0], rows: undefined }] }));
});

test("the answers have something of each kind", () => {
  assert.equal(answers["no-run.json"].runs.length, 0);
  assert.equal(answers["run.json"].comparison, null);
  const { reasons, failures, quarantined, workers, queue, comparison } = answers["failures-and-quarantine.json"];
  for (const [name, list] of Object.entries({ reasons, failures, quarantined, workers })) {
    assert.ok(list.length > 0, name);
  }
  assert.ok(queue && comparison.newlyFailed.length > 0);
  assert.equal(answers["one-run.json"].runs.length, 1);
  assert.equal(answers["waiting.json"].serviceWait.stores, 1);
});

test("every field says what it is", () => {
  const without = [];
  const walk = (part, path) => {
    for (const [name, field] of Object.entries(part.properties ?? {})) {
      if (!field.description) {
        without.push(`${path}.${name}`);
      }
      walk(field.items ?? field, `${path}.${name}`);
    }
  };
  walk(schema, "");
  Object.entries(schema.$defs).forEach(([name, part]) => walk(part, name));
  assert.deepEqual(without, []);
});
