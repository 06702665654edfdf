/**
 * Finishes a compact file with some version of the core extension, as a device does, and compares it with the file.
 *
 *     node finish.js EXTENSION DESCRIPTION COMPACT FILE
 *
 * With JSON tables; with a raw table whose trigger makes a local write of what the app inserts; and, from 0.5.4 on, with a direct
 * table, which has such triggers by itself.
 */
import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

const [extension, description, compact, file] = process.argv.slice(2);
const { steps } = JSON.parse(readFileSync(description, 'utf8'));

const JSON_TABLES = { tables: [{ name: 'products', columns: [{ name: 'name', type: 'text' }] }] };
const RAW_TABLE = {
  name: 'products',
  table_name: 'products',
  put: { sql: 'INSERT OR REPLACE INTO products (id, name) VALUES (?, ?)', params: ['Id', { Column: 'name' }] },
  delete: { sql: 'DELETE FROM products WHERE id = ?', params: ['Id'] }
};

const DIRECT_TABLES = { tables: [{ ...JSON_TABLES.tables[0], direct: true }] };

const directory = mkdtempSync(join(tmpdir(), 'cores-'));
try {
  // The name says where the extension starts.
  const named = join(directory, 'libpowersync.so');
  copyFileSync(extension, named);
  console.log(check('json', named, JSON_TABLES, (app) => differing(app, 'ps_data__products')));
  const columns = "SELECT id, name FROM main.products";
  const theirs = "SELECT id, data ->> 'name' FROM file.ps_data__products";
  const columnsDiffer = (app) => differences(app, columns, theirs);
  console.log(check('raw', named, { tables: [], raw_tables: [RAW_TABLE] }, columnsDiffer));
  if (hasDirectTables(named)) console.log(check('direct', named, DIRECT_TABLES, columnsDiffer));
} finally {
  rmSync(directory, { recursive: true });
}

/** Older ones make JSON tables of them, and say nothing. */
function hasDirectTables(library) {
  const database = open(library, ':memory:');
  const [, minor, patch] = one(database, 'SELECT powersync_rs_version()').split(/[^0-9]/).map(Number);
  database.close();
  return minor > 5 || (minor === 5 && patch >= 4);
}

function check(kind, library, schema, rows) {
  const app = open(library, join(directory, 'app.sqlite'), compact);
  const raw = schema.raw_tables?.[0];
  transaction(app, () => {
    one(app, 'SELECT powersync_init()');
    one(app, 'SELECT powersync_replace_schema(?)', JSON.stringify(schema));
    if (raw) {
      app.exec('CREATE TABLE products (id TEXT PRIMARY KEY, name TEXT)');
      one(app, "SELECT powersync_create_raw_table_crud_trigger(?, 'made', 'INSERT')", JSON.stringify(raw));
    }
  });
  transaction(app, () => finish(app, library, JSON.stringify(schema)));
  app.prepare('ATTACH ? AS file').run(file);
  assert.equal(rows(app), 0, 'rows differ');
  assert.equal(differing(app, 'ps_oplog'), 0, 'operations differ');
  const buckets = 'name, op_checksum, add_checksum, last_op, last_applied_op, count_at_last';
  assert.equal(differing(app, 'ps_buckets', buckets), 0, 'buckets differ');
  assert.equal(one(app, 'SELECT count(*) FROM ps_crud'), 0, 'there is something to upload');
  assert.match(one(app, 'SELECT powersync_offline_sync_status()'), /"has_synced":true/);
  // What the app itself inserts is to be uploaded: the triggers are there, and saw nothing of the above.
  transaction(app, () => app.exec("INSERT INTO main.products (id, name) VALUES ('own', 'own')"));
  assert.equal(one(app, 'SELECT count(*) FROM ps_crud'), 1, 'a local write is not seen');
  const version = one(app, 'SELECT powersync_rs_version()');
  app.close();
  return `${version.split('/')[0]} ${kind}`;
}

/** Runs the steps. */
function finish(app, library, schema) {
  for (const { name, sql, parameters, returns, of_core: ofCore } of steps) {
    if (ofCore) {
      const fresh = open(library, ':memory:');
      transaction(fresh, () => one(fresh, 'SELECT powersync_init()'));
      for (const statement of fresh.prepare(ofCore).all()) app.exec(statement.sql);
      fresh.close();
    } else {
      const found = one(app, sql, ...(parameters ? [schema] : []));
      if (returns !== undefined) assert.equal(found, returns, name);
    }
  }
}

function open(library, path, content) {
  if (content) copyFileSync(content, path);
  const database = new DatabaseSync(path, { allowExtension: true });
  database.loadExtension(library);
  return database;
}

function transaction(database, run) {
  database.exec('BEGIN IMMEDIATE');
  run();
  database.exec('COMMIT');
}

/** The first column of the first row. */
function one(database, sql, ...parameters) {
  const row = database.prepare(sql).get(...parameters);
  return row && Object.values(row)[0];
}

function differing(app, table, columns = '*') {
  return differences(app, `SELECT ${columns} FROM main.${table}`, `SELECT ${columns} FROM file.${table}`);
}

/** How many rows only one of two queries has. */
function differences(app, ours, theirs) {
  const only = (one, other) => `(SELECT count(*) FROM (${one} EXCEPT ${other}))`;
  return one(app, `SELECT ${only(ours, theirs)} + ${only(theirs, ours)}`);
}
