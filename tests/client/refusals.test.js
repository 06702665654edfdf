/** Whatever goes wrong on the way, nothing of it is left, and the normal initial sync takes over. */

import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, readFile, watch, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { seedbed } from './seedbed.js';
import {
  clientId,
  connectAndSync,
  device,
  nobody,
  operationsDuring,
  rowsIn,
  service,
  setUp,
  subscribe
} from './support.js';

const STORE = 'refused';

/** A time limit that no local download needs. */
const IMPATIENT = { timeLimit: 500 };

function flipBit(file) {
  file[Math.floor(file.length / 2)] ^= 1;
  return file;
}

const refusals = [
  ['one bit of the file is altered on the way', { sent: flipBit }, /sha256 differs/],
  ['the file ends early', { sent: (file) => file.subarray(0, file.length - 1) }, /ended after \d+ of \d+ bytes/],
  ['the file goes on', { sent: (file) => Buffer.concat([file, Buffer.from('!')]) }, /more than its \d+ bytes/],
  ['the connection breaks', { cut: 10_000 }, /terminated|aborted|socket hang up/],
  ['the download stands still', { stall: 10_000 }, /timeout/i, IMPATIENT],
  ['the file is no database', { body: () => Buffer.from('<html>'.repeat(1000)) }, /not a database/],
  ['there is no snapshot', { answers: [{ status: 404, error: 'no_snapshot' }] }, /404 no_snapshot/],
  ['the token is refused', { answers: [{ status: 401, error: 'expired_token' }] }, /401 expired_token/],
  ['the store is another one', { answers: [{ status: 403, error: 'other_store' }] }, /403 other_store/],
  ['the server fails', { answers: [{ status: 500 }] }, /500/],
  ['it is not Seedbed that answers', { answers: [{ status: 200 }] }, /is the URL that of GET \/database/],
  ['the server says nothing', { answers: ['silence'] }, /timeout/i, IMPATIENT],
  ['seeding takes longer than the time limit', { answers: [being_seeded(60)] }, /202 being_seeded/, { timeLimit: 5000 }],
  ['seeding has no end in sight', { answers: [being_seeded(undefined)] }, /202 being_seeded/]
];

function being_seeded(seconds) {
  const headers = seconds === undefined ? {} : { 'retry-after': String(seconds) };
  return { status: 202, error: 'being_seeded', headers };
}

/** The app has started without a snapshot for this reason, has nothing else on its disk, and syncs every row. */
async function assertInitialSync(app, db, reason) {
  assert.equal(app.warnings.length, 1, app.warnings.join());
  assert.match(app.warnings[0], /^starting without a snapshot: /);
  assert.match(app.warnings[0], reason);
  assert.doesNotMatch(app.warnings[0], /signature/, 'the signed URL is a secret');
  assert.deepEqual(await app.files(), ['app.db']);
  assert.deepEqual(await rowsIn(db), []);

  const rows = await service.rows(STORE);
  await subscribe(db);
  const operations = await operationsDuring(STORE, () => connectAndSync(db, STORE));
  assert.deepEqual(await rowsIn(db), rows);
  assert.equal(operations, rows.length);
}

for (const [what, faults, reason, source] of refusals) {
  test(`when ${what}, the initial sync takes over`, async (t) => {
    const { url } = await seedbed(t, STORE, faults);
    const app = await device(t, STORE);
    const started = performance.now();
    const db = await app.start(url, source);
    assert.ok(performance.now() - started < 10_000, 'it does not wait beyond its time limit');
    await assertInitialSync(app, db, reason);
  });
}

test('when the server is away, the initial sync takes over', async (t) => {
  const app = await device(t, STORE);
  await assertInitialSync(app, await app.start(await nobody()), /does not answer/);
});

test('when the user has no token, the initial sync takes over', async (t) => {
  const { url, requests } = await seedbed(t, STORE);
  const app = await device(t, STORE);
  const getToken = async () => {
    throw new Error('signed out');
  };
  await assertInitialSync(app, await app.start(url, { getToken }), /signed out/);
  assert.deepEqual(requests, []);
});

for (const answer of [
  being_seeded(1),
  { status: 429, headers: { 'retry-after': '1' } },
  { status: 503, headers: { 'retry-after': '1' } }
]) {
  test(`after ${answer.status} with Retry-After it asks again`, async (t) => {
    const { url, requests } = await seedbed(t, STORE, { answers: [answer] });
    const app = await device(t, STORE);
    const started = performance.now();
    const db = await app.start(url);
    assert.ok(performance.now() - started >= 990, 'it waits as long as it was told to');
    assert.equal(requests.length, 3, requests.join());
    assert.deepEqual(await rowsIn(db), await service.rows(STORE));
    assert.deepEqual(app.warnings, []);
  });
}

test('a file without client_id gets one at the next start, and nobody is asked', async (t) => {
  // What a process leaves that was killed as soon as the file was in place.
  const { url, requests } = await seedbed(t, STORE);
  const app = await device(t, STORE);
  await copyFile(setUp.snapshots[STORE].file, app.file);
  const db = await app.start(url);
  assert.match(await clientId(db), /^[0-9a-f-]{36}$/);
  assert.deepEqual(requests, []);
  assert.equal(await operationsDuring(STORE, () => connectAndSync(db, STORE)), 0);
});

test('a process that is killed during the download leaves nothing that counts', async (t) => {
  const { url } = await seedbed(t, STORE, { stall: 10_000 });
  const app = await device(t, STORE);
  const source = [url, STORE, await service.token(STORE)];
  const killed = fork(new URL('install.js', import.meta.url), [app.directory, ...source]);
  for await (const { filename } of watch(app.directory)) {
    if (filename.endsWith('.part')) break;
  }
  killed.kill('SIGKILL');
  await once(killed, 'exit');
  assert.deepEqual(await app.files(), ['app.db.seedbed.json', 'app.db.seedbed.lock', 'app.db.seedbed.part']);

  const whole = await seedbed(t, STORE);
  const db = await app.start(whole.url);
  assert.deepEqual(await rowsIn(db), await service.rows(STORE));
  assert.deepEqual(app.warnings, []);
  assert.deepEqual(await app.files(), ['app.db']);
});

test("the WAL of a database that was removed is not taken for the snapshot's", async (t) => {
  const { url } = await seedbed(t, STORE);
  const app = await device(t, STORE);
  const former = join(app.directory, 'former.db');
  const other = new DatabaseSync(former);
  other.exec('PRAGMA journal_mode = WAL; CREATE TABLE other (id); INSERT INTO other VALUES (1)');
  await writeFile(`${app.file}-wal`, await readFile(`${former}-wal`));
  other.close();
  const db = await app.start(url);
  assert.deepEqual(await rowsIn(db), await service.rows(STORE));
  assert.deepEqual(app.warnings, []);
});

test('of two launches at once one installs the snapshot, and both have it', async (t) => {
  const { url, requests } = await seedbed(t, STORE);
  const app = await device(t, STORE);
  const databases = await Promise.all([app.start(url), app.start(url)]);
  for (const db of databases) assert.deepEqual(await rowsIn(db), await service.rows(STORE));
  assert.equal(requests.filter((path) => path.startsWith('/snapshots/')).length, 1, requests.join());
  assert.deepEqual(await app.files(), ['app.db']);
});

test('a database that was there and cannot be opened is left alone', async (t) => {
  const { url } = await seedbed(t, STORE);
  const app = await device(t, STORE);
  await writeFile(app.file, 'what the user has written'.repeat(100));
  await assert.rejects(app.start(url), /not a database/);
  assert.match(await readFile(app.file, 'utf8'), /^what the user has written/);
});
