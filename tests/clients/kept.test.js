/** Nothing that only the device has is ever replaced, and what can be replaced is. */

import assert from 'node:assert/strict';
import { copyFile, readFile, stat, writeFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { device } from './device.js';
import { seedbed, sha256 } from './servers/seedbed.js';
import { STORE, service } from './service.js';

/** A device whose first launch failed, so that it has an empty database; `plant` writes to it by the app. */
async function failedFirst(t, plant) {
  const phone = await device(t);
  const app = await phone.app();
  const nothing = await seedbed(t, { answers: [{ status: 404, error: 'no_snapshot' }] });
  await app.open({ url: nothing.url });
  await plant?.(app);
  await app.quit();
  return phone;
}

/** All that a database has, as one text to compare. */
function content(file) {
  const db = new DatabaseSync(file);
  const objects = db.prepare('SELECT type, name, sql FROM sqlite_schema ORDER BY name').all();
  const tables = objects.filter(({ type, name }) => type === 'table' && !name.startsWith('sqlite_'));
  const rows = tables.map(({ name }) => db.prepare(`SELECT * FROM "${name}"`).all());
  db.close();
  return sha256(JSON.stringify([objects, rows]));
}

/** What the app alone has: each keeps the database. */
const own = [
  ['a draft in a table that is only local', 'local_rows', "INSERT INTO drafts (id, text) VALUES ('1', 'mine')", 'SELECT text FROM drafts'],
  ['a write that is not uploaded', 'local_writes', "INSERT INTO products (id, name) VALUES ('1', 'mine')", 'SELECT name FROM products'],
  [
    'a write that is uploaded and not synced back',
    'local_rows',
    "INSERT INTO products (id, name) VALUES ('1', 'mine')",
    'SELECT name FROM products',
    'DELETE FROM ps_crud'
  ],
  ["a row of a table of the app's own", 'local_rows', "CREATE TABLE notes (text); INSERT INTO notes VALUES ('mine')", 'SELECT text FROM notes']
];

for (const [what, reason, sql, question, ...more] of own) {
  test(`${what} keeps the database`, async (t) => {
    const phone = await failedFirst(t, async (app) => {
      for (const statement of [...sql.split('; '), ...more]) await app.tell('execute', { sql: statement });
    });
    const server = await seedbed(t);
    const app = await phone.app();
    const outcome = await app.open({ url: server.url });
    assert.deepEqual([outcome.outcome, outcome.reason], ['kept', reason]);
    const { rows } = await app.tell('query', { sql: question });
    assert.deepEqual(rows.map((row) => Object.values(row)[0]), ['mine']);
    assert.deepEqual(server.questions, []);
    assert.deepEqual(await phone.leftovers(), []);
  });
}

test('a draft that is only in the WAL keeps the database', async (t) => {
  const phone = await device(t);
  const app = await phone.app();
  const nothing = await seedbed(t, { answers: [{ status: 404, error: 'no_snapshot' }] });
  await app.open({ url: nothing.url });
  const before = sha256(await readFile(phone.file));
  await app.tell('execute', { sql: "INSERT INTO drafts (id, text) VALUES ('1', 'mine')" });
  // Nothing is written back to the database by an orderly end.
  await app.kill();
  assert.equal(sha256(await readFile(phone.file)), before, 'the draft is not in the file itself');
  assert.ok((await stat(`${phone.file}-wal`)).size > 0);
  const server = await seedbed(t);
  const again = await phone.app();
  const outcome = await again.open({ url: server.url });
  assert.deepEqual([outcome.outcome, outcome.reason], ['kept', 'local_rows']);
  const { rows } = await again.tell('query', { sql: 'SELECT text FROM drafts' });
  assert.deepEqual(rows, [{ text: 'mine' }]);
});

test('a draft that is written while the snapshot is downloaded keeps the database', async (t) => {
  const phone = await failedFirst(t);
  const server = await seedbed(t, { pace: 20 });
  const app = await phone.app();
  const launch = app.open({ url: server.url });
  await app.until(({ stage, bytes }) => stage === 'downloading' && bytes > 0);
  const other = new DatabaseSync(phone.file);
  other.exec("INSERT INTO ps_data_local__drafts (id, data) VALUES ('1', '{\"text\":\"mine\"}')");
  other.close();
  const outcome = await launch;
  assert.deepEqual([outcome.outcome, outcome.reason], ['kept', 'local_rows']);
  const { rows } = await app.tell('query', { sql: 'SELECT text FROM drafts' });
  assert.deepEqual(rows, [{ text: 'mine' }]);
  assert.deepEqual(await phone.leftovers(), []);
});

test('a database that another process has open is not replaced', async (t) => {
  const phone = await failedFirst(t);
  const other = new DatabaseSync(phone.file);
  other.exec('PRAGMA journal_mode = WAL');
  other.prepare('SELECT * FROM ps_kv').all();
  const server = await seedbed(t);
  const app = await phone.app();
  const outcome = await app.open({ url: server.url });
  assert.deepEqual([outcome.outcome, outcome.reason], ['kept', 'in_use']);
  other.exec("INSERT INTO ps_data_local__drafts (id, data) VALUES ('1', '{\"text\":\"mine\"}')");
  other.close();
  const { rows } = await app.tell('query', { sql: 'SELECT text FROM drafts' });
  assert.deepEqual(rows, [{ text: 'mine' }]);
});

test('a soft clear keeps its operations', async (t) => {
  const phone = await device(t);
  const server = await seedbed(t);
  const app = await phone.app();
  if (!app.about.softClear) return t.skip('not in this SDK');
  await app.open({ url: server.url });
  await app.sync();
  await app.tell('clear', { soft: true });
  await app.quit();
  const again = await phone.app();
  const outcome = await again.open({ url: server.url });
  assert.deepEqual([outcome.outcome, outcome.reason], ['kept', 'cleared_softly']);
  assert.equal(await again.sync(), 0, 'what was kept need not be downloaded');
  assert.deepEqual(await again.rows(), await service.rows());
});

test('what cannot be read is left alone', async (t) => {
  const phone = await device(t);
  await writeFile(phone.file, 'what the user has written'.repeat(100));
  const server = await seedbed(t);
  const app = await phone.app();
  const answer = await app.tryToOpen({ url: server.url });
  assert.equal(answer.ok, false);
  assert.match(await readFile(phone.file, 'utf8'), /^what the user has written/);
  assert.deepEqual(server.questions, []);
  assert.deepEqual(await phone.leftovers(), []);
});

for (const [what, source] of [
  ['another store', { storeId: 'another' }],
  ['another account', { account: 'bob' }],
  ['another service', { endpoint: 'https://other.example.com' }]
]) {
  test(`a database of ${what} is refused, and nothing is changed`, async (t) => {
    const phone = await device(t);
    const server = await seedbed(t);
    const app = await phone.app();
    const first = { url: server.url, account: 'ann', endpoint: 'https://powersync.example.com' };
    await app.open(first);
    await app.tell('execute', { sql: "INSERT INTO drafts (id, text) VALUES ('1', 'mine')" });
    await app.quit();
    const before = content(phone.file);
    const other = await phone.app();
    for (const whenUnavailable of ['sync', 'fail', 'wait']) {
      const refused = await other.tryToOpen({ ...first, ...source, whenUnavailable });
      assert.deepEqual([refused.ok, refused.code], [false, 'wrong_store']);
    }
    assert.equal(content(phone.file), before);
    assert.deepEqual(await phone.leftovers(), []);
    const again = await phone.app();
    assert.equal((await again.open(first)).reason, 'synced');
    const { rows } = await again.tell('query', { sql: 'SELECT text FROM drafts' });
    assert.deepEqual(rows, [{ text: 'mine' }]);
  });
}

test('after a full clear, another store may have the database', async (t) => {
  const phone = await device(t);
  const app = await phone.app();
  const former = await seedbed(t, { answers: [{ status: 404, error: 'no_snapshot' }] });
  await app.open({ url: former.url, storeId: 'former' });
  await app.tell('clear', { soft: false });
  await app.quit();
  const server = await seedbed(t);
  const again = await phone.app();
  assert.equal((await again.open({ url: server.url })).outcome, 'installed');
  const { rows } = await again.tell('query', { sql: "SELECT value FROM ps_kv WHERE key = 'seedbed_store'" });
  assert.equal(JSON.parse(rows[0].value).store, STORE);
});

/** What is nobody's: each is replaced. */
const nobodys = [
  ['an empty file', (phone) => writeFile(phone.file, '')],
  ['an empty database', (phone) => plant(phone, 'PRAGMA user_version = 1')],
  [
    'a download that broke off',
    async (phone, db) => {
      db.exec("INSERT INTO ps_buckets (id, name, last_op, op_checksum) VALUES (1, 'half', 7, 7)");
      db.exec("INSERT INTO ps_oplog (bucket, op_id, row_type, row_id, key, data, hash) VALUES (1, 7, 'products', 'a', 'products/a', '{}', 7)");
    }
  ],
  ["empty tables of the app's own", async (phone, db) => db.exec('CREATE TABLE notes (text); CREATE VIRTUAL TABLE found USING fts5(text)')]
];

function plant(phone, sql) {
  const db = new DatabaseSync(phone.file);
  db.exec(sql);
  db.close();
}

for (const [what, make] of nobodys) {
  test(`${what} is replaced`, async (t) => {
    const phone = make.length > 1 ? await failedFirst(t) : await device(t);
    if (make.length > 1) {
      const db = new DatabaseSync(phone.file);
      await make(phone, db);
      db.close();
    } else await make(phone);
    const server = await seedbed(t);
    const app = await phone.app();
    const outcome = await app.open({ url: server.url });
    assert.equal(outcome.outcome, 'installed', JSON.stringify(outcome));
    assert.deepEqual(await app.rows(), await service.rows());
    assert.equal(await app.sync(), 0);
  });
}

test('what an older package left is given an identity and kept', async (t) => {
  const phone = await device(t);
  const server = await seedbed(t);
  const donor = await device(t);
  const app = await donor.app();
  await app.open({ url: server.url });
  await app.tell('execute', { sql: "DELETE FROM ps_kv WHERE key IN ('seedbed_store', 'client_id')" });
  await app.quit();
  await copyFile(donor.file, phone.file);
  const again = await phone.app();
  const outcome = await again.open({ url: server.url });
  assert.deepEqual([outcome.outcome, outcome.reason], ['kept', 'synced']);
  const { rows } = await again.tell('query', { sql: "SELECT key FROM ps_kv WHERE key IN ('seedbed_store', 'client_id') ORDER BY key" });
  assert.deepEqual(rows, [{ key: 'client_id' }, { key: 'seedbed_store' }]);
  assert.equal(await again.sync(), 0);
});
