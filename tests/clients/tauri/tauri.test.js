/** Rust and Tauri only: a connection to Seedbed, which ends before the app's own begins. Rule 14 of CONTRACT.md. */

import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { device } from '../device.js';
import { seedbed } from '../servers/seedbed.js';
import { STORE, service, setUp } from '../service.js';
import { Stream } from '../servers/stream.js';

/** An app that has opened an empty database, and a Seedbed with a stream. */
async function begin(t, faults) {
  const stream = new Stream(faults);
  const server = await seedbed(t, { stream });
  const phone = await device(t);
  const app = await phone.app();
  await app.open({ url: server.url });
  const seeded = { url: server.url, storeId: STORE };
  return { stream, phone, app, seeded, sync: (more = {}) => app.sync({ seeded: { ...seeded, ...more } }) };
}

async function assertWhole(app) {
  assert.deepEqual(await app.rows(), await service.rows());
  assert.equal((await app.tell('status')).hasSynced, true);
}

test('the first sync comes from Seedbed, the service sends nothing, and the next launch asks nobody', async (t) => {
  const { stream, phone, app, seeded, sync } = await begin(t);
  const before = await service.counters(STORE);
  assert.equal(await sync(), 0);
  assert.deepEqual(await app.choices(), ['seedbed: first_sync']);
  await assertWhole(app);
  while ((await service.counters(STORE)).streams === before.streams) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal((await service.counters(STORE)).operations, before.operations, 'it goes on at its position');
  await app.quit();
  const again = await phone.app();
  assert.equal((await again.open({ url: seeded.url })).reason, 'synced');
  assert.equal(await again.sync({ seeded }), 0);
  assert.deepEqual(await again.choices(), ['powersync: own_positions']);
  assert.equal(stream.served, 1);
});

test('a stream of a real Seedbed is taken', async (t) => {
  const app = await (await device(t)).app();
  await app.open({ url: setUp.database });
  assert.equal(await app.sync({ seeded: { url: setUp.database, storeId: STORE } }), 0);
  assert.deepEqual(await app.choices(), ['seedbed: first_sync']);
  await assertWhole(app);
});

test('with a local write it is PowerSync that is asked, and the write stays', async (t) => {
  const { stream, app, seeded } = await begin(t);
  await app.tell('execute', { sql: "INSERT INTO orders (id, store_id, status, total) VALUES ('mine', 'other', 'closed', 1)" });
  await app.tell('connect', { seeded, endpoint: setUp.endpoint, token: await service.token(STORE), wait: false });
  assert.deepEqual(await app.choices(), ['powersync: local_writes']);
  const { rows } = await app.tell('query', { sql: "SELECT total FROM orders WHERE id = 'mine'" });
  assert.deepEqual(rows, [{ total: 1 }]);
  assert.equal(stream.served, 0);
});

for (const [what, faults, reason] of [
  ['has no snapshot', { starts: [{ status: 404, error: 'no_snapshot' }] }, '404 no_snapshot'],
  ['sends the device to PowerSync', { starts: [{ from: 'powersync', endpoint: null, why: 'no_stream' }] }, 'no_stream'],
  ['has a stream that is an error', { streams: [{ status: 503 }], ever: true }, 'stalled'],
  ['breaks off again and again', { streams: [{ unreachable: true }], ever: true }, 'stalled'],
  ['refuses the device', { streams: [{ status: 401 }] }, 'refused'],
  ['falls silent', { line: 50, streams: [{ stall: 4 }] }, 'stalled']
]) {
  test(`PowerSync is asked if Seedbed ${what}`, async (t) => {
    const { app, sync } = await begin(t, faults);
    const operations = await sync({ silenceLimit: 600 });
    assert.deepEqual(await app.choices(), [`powersync: ${reason}`]);
    // What has arrived is not downloaded again.
    if (faults.line) assert.ok(operations < (await service.rows()).length, `${operations}`);
    await assertWhole(app);
  });
}

test('a write while the stream comes stays, and the app goes on with PowerSync', async (t) => {
  let written;
  const { phone, app, seeded } = await begin(t, {
    line: 50,
    before: (line) => line.checkpoint_complete && (written ??= write())
  });
  const write = () => {
    const other = new DatabaseSync(phone.file);
    other.exec('PRAGMA busy_timeout = 5000');
    other.exec(`INSERT INTO ps_crud (tx_id, data) VALUES (1, '{"op":"PUT","type":"orders","id":"mine","data":{"total":1}}')`);
    other.close();
    return true;
  };
  await app.tell('connect', { seeded: { ...seeded, silenceLimit: 1000 }, endpoint: setUp.endpoint, token: await service.token(STORE), wait: false });
  assert.ok(written);
  assert.match((await app.choices())[0], /^powersync: (refused|stalled)$/);
  const { rows } = await app.tell('query', { sql: 'SELECT count(*) AS writes FROM ps_crud' });
  assert.equal(rows[0].writes, 1);
});

test('PowerSync is asked if Seedbed says nothing', async (t) => {
  const { app, sync } = await begin(t, { starts: ['silence'] });
  await sync({ startLimit: 200 });
  assert.match((await app.choices())[0], /^powersync: /);
  await assertWhole(app);
});

test('a stream that breaks off once is taken at the second try', async (t) => {
  const { app, sync } = await begin(t, { streams: [{ unreachable: true }] });
  assert.equal(await sync({ silenceLimit: 3000 }), 0);
  assert.deepEqual(await app.choices(), ['seedbed: first_sync']);
});

test('after a change of generation the new one comes from Seedbed', async (t) => {
  const { app, seeded } = await begin(t, { generation: 9 });
  await app.sync();
  await app.tell('disconnect');
  await app.sync({ seeded });
  assert.deepEqual(await app.choices(), ['seedbed: new_config']);
  assert.deepEqual(await app.rows(), await service.rows());
});

test('an app that is killed in the middle goes on, and nothing is lost', async (t) => {
  const { stream, phone, app, seeded } = await begin(t, { line: 50, streams: [{ stall: 4 }] });
  const connecting = app.tell('connect', { seeded, endpoint: setUp.endpoint, token: await service.token(STORE) }).catch(() => {});
  while (!stream.requests.some(({ path }) => path.endsWith('/sync/stream'))) await new Promise((resolve) => setTimeout(resolve, 10));
  await app.kill();
  await connecting;
  const again = await phone.app();
  await again.open({ url: seeded.url });
  await again.sync({ seeded });
  await assertWhole(again);
});
