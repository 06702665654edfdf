/** The stream form: the first sync from Seedbed by the SDK's own connection, everything else from PowerSync. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { device } from './device.js';
import { powersync } from './servers/powersync.js';
import { NOBODY, seedbed } from './servers/seedbed.js';
import { STORE, service, setUp } from './service.js';
import { Stream } from './servers/stream.js';

/** An SDK waits for 5 seconds between two connections, unless it is told otherwise. */
const retryDelayMs = 100;

/** An app that has opened an empty database, and a Seedbed with a stream. */
async function begin(t, faults) {
  const stream = new Stream(faults);
  const server = await seedbed(t, { stream });
  const phone = await device(t);
  const app = await phone.app();
  assert.equal((await app.open({ url: NOBODY })).outcome, 'sync', 'nobody answers there');
  const seeded = { url: server.url, storeId: STORE };
  return { stream, server, phone, app, seeded, sync: (more = {}) => app.sync({ seeded: { ...seeded, ...more }, retryDelayMs }) };
}

const FIRST = 'seedbed: first_sync';

/** Nothing is left to upload, and the service has nothing more for the device. */
async function assertWhole(app) {
  assert.deepEqual(await app.rows(), await service.rows());
  assert.deepEqual((await app.tell('query', { sql: 'SELECT * FROM ps_crud' })).rows, []);
  assert.equal((await app.tell('status')).hasSynced, true);
}

test('the first sync comes from Seedbed, and the service sends nothing', async (t) => {
  const { stream, app, sync } = await begin(t);
  const before = await service.counters(STORE);
  assert.equal(await sync(), 0);
  await app.untilChoices(FIRST, 'powersync: synced');
  await assertWhole(app);
  assert.equal(stream.served, 1);
  while ((await service.counters(STORE)).streams === before.streams) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal((await service.counters(STORE)).operations, before.operations, 'it goes on at its position');
});

test('the next launch asks PowerSync alone', async (t) => {
  const { stream, server, phone, app, seeded, sync } = await begin(t);
  await sync();
  await app.untilChoices(FIRST, 'powersync: synced');
  await app.tell('disconnect');
  await app.quit();
  const again = await phone.app();
  assert.equal((await again.open({ url: server.url })).reason, 'synced');
  assert.equal(await again.sync({ seeded, retryDelayMs }), 0);
  assert.deepEqual(await again.choices(), ['powersync: own_positions']);
  assert.equal(stream.served, 1);
});

test('after a clear, the first sync comes from Seedbed again', async (t) => {
  const { stream, app, seeded, sync } = await begin(t);
  await sync();
  await app.untilChoices(FIRST, 'powersync: synced');
  await app.tell('clear', { soft: false });
  await app.sync({ seeded, retryDelayMs });
  await app.untilChoices(FIRST, 'powersync: synced');
  await assertWhole(app);
  assert.equal(stream.served, 2);
});

test('with a local write it is PowerSync that is asked, and the write is uploaded', async (t) => {
  const { stream, app, seeded } = await begin(t);
  await app.tell('execute', { sql: "INSERT INTO orders (id, store_id, status, total) VALUES ('mine', 'other', 'closed', 1)" });
  await app.sync({ seeded, retryDelayMs, uploads: true, endpoint: await powersync(t) });
  assert.match((await app.choices())[0], /^powersync: local_writes$/);
  await assertWhole(app);
  assert.equal(stream.served, 0);
});

test('a write while the stream comes is uploaded, and nothing is downloaded twice', async (t) => {
  let written;
  const { app, seeded } = await begin(t, {
    line: 50,
    before: (line) => line.checkpoint_complete && (written ??= write())
  });
  const write = () => app.tell('execute', { sql: "INSERT INTO orders (id, store_id, status, total) VALUES ('mine', 'other', 'closed', 1)" });
  assert.equal(await app.sync({ seeded, retryDelayMs, uploads: true, endpoint: await powersync(t) }), 0);
  assert.ok(written);
  const choices = await app.choices();
  assert.equal(choices[0], FIRST);
  assert.match(choices.at(-1), /^powersync/);
  await assertWhole(app);
});

for (const [what, fault] of [
  ['that breaks off at once', { unreachable: true }],
  ['that is an error', { status: 503 }],
  ['that ends without a word', { lines: 0 }],
  ['that never ends its checkpoint', { lines: 1 }]
]) {
  test(`a stream ${what} is tried again, and then PowerSync's is taken`, async (t) => {
    const { stream, app, sync } = await begin(t, { streams: [fault], ever: true });
    await sync({ tries: 2 });
    assert.deepEqual(await app.choices(), [FIRST, 'powersync: tried']);
    const asked = stream.requests.filter(({ path }) => path.endsWith('/sync/stream')).length;
    // A browser asks once more by itself when a connection is lost.
    assert.ok(fault.unreachable ? asked >= 2 : asked === 2, `${asked} times`);
    await assertWhole(app);
  });
}

test('a stream that breaks off once is taken at the second try', async (t) => {
  const { app, sync } = await begin(t, { streams: [{ unreachable: true }] });
  assert.equal(await sync({ tries: 2 }), 0);
  await app.untilChoices(FIRST, 'powersync: synced');
});

test('a refusal is the end of it', async (t) => {
  const { stream, app, sync } = await begin(t, { streams: [{ status: 401 }] });
  await sync();
  assert.deepEqual(await app.choices(), [FIRST, 'powersync: tried']);
  assert.equal(stream.served, 0);
  await assertWhole(app);
});

test('a stream that breaks off in the middle is gone on with at the service, where it was', async (t) => {
  const { app, sync } = await begin(t, { line: 50, streams: [{ lines: 4 }] });
  const operations = await sync();
  assert.match((await app.choices()).at(-1), /^powersync/);
  const all = (await service.rows()).length;
  assert.ok(operations > 0 && operations <= all - 57, `${operations} of ${all}`);
  await assertWhole(app);
});

test('a stream that falls silent is left for the service', async (t) => {
  const { app, sync } = await begin(t, { line: 50, streams: [{ stall: 4 }] });
  const operations = await sync({ silenceLimit: 300 });
  assert.match((await app.choices()).at(-1), /^powersync/);
  assert.ok(operations < (await service.rows()).length);
  await assertWhole(app);
});

for (const [what, starts, reason] of [
  ['has no snapshot', [{ status: 404, error: 'no_snapshot' }], '404 no_snapshot'],
  ['is silent', ['silence'], 'no answer in time'],
  ['sends the device to PowerSync', [{ from: 'powersync', endpoint: null, why: 'no_stream' }], 'no_stream'],
  ['is an older one', [{ status: 404 }], '404']
]) {
  test(`PowerSync is asked if Seedbed ${what}`, async (t) => {
    const { stream, app, sync } = await begin(t, { starts });
    await sync({ startLimit: 200 });
    assert.deepEqual(await app.choices(), [`powersync: ${reason}`]);
    assert.equal(stream.served, 0);
    await assertWhole(app);
  });
}

test('PowerSync is asked if Seedbed is not there', async (t) => {
  const { server, app, sync } = await begin(t);
  await server.stop();
  await sync();
  assert.equal((await app.choices()).length, 1);
  assert.match((await app.choices())[0], /^powersync/);
  await assertWhole(app);
  await server.start();
});

test('a token of its own is for Seedbed alone', async (t) => {
  const { app, seeded } = await begin(t);
  const token = await service.token(STORE);
  assert.equal(await app.sync({ seeded: { ...seeded, token }, token: 'of another audience', endpoint: setUp.endpoint, retryDelayMs }), 0);
  await app.untilChoices(FIRST, 'powersync: synced');
});

test('after a change of generation the new one comes from Seedbed, and no row is missing meanwhile', async (t) => {
  const { stream, app, seeded } = await begin(t, { generation: 9 });
  await app.sync({ retryDelayMs });
  await app.tell('disconnect');
  await app.sync({ seeded, retryDelayMs });
  assert.equal((await app.choices())[0], 'seedbed: new_config');
  assert.deepEqual(await app.rows(), await service.rows());
  await app.untilChoices('seedbed: new_config', 'powersync: synced');
  assert.equal(stream.served, 1);
});

/** `openSeeded` in the form `stream`, which waits for the first sync. */
async function launch(t, faults) {
  const stream = new Stream(faults);
  const server = await seedbed(t, { stream });
  const phone = await device(t);
  const app = await phone.app();
  // Workers take their time to start.
  const silence = app.about.platform === 'web' ? 2000 : 400;
  return { stream, server, phone, app, silence, open: (more) => app.tryToOpen({ url: server.url, form: 'stream', subscribe: true, ...more }) };
}

test('a launch in this form opens a database with every row, and connecting downloads nothing', async (t) => {
  const { stream, server, app, phone, open } = await launch(t, { line: 50 });
  const { outcome } = await open();
  assert.deepEqual([outcome.outcome, outcome.form, outcome.reason ?? null], ['installed', 'stream', null]);
  await assertWhole(app);
  assert.equal(await app.sync(), 0);
  assert.equal(stream.served, 1);
  assert.ok(app.progress.some(({ stage, bytes }) => stage === 'downloading' && bytes > 0));
  await app.tell('disconnect');
  await app.quit();
  const again = await phone.app();
  const kept = await again.open({ url: server.url, form: 'stream' });
  assert.deepEqual([kept.outcome, kept.reason], ['kept', 'synced']);
  assert.equal(stream.served, 1);
});

for (const [what, faults, reason] of [
  ['no snapshot', { starts: [{ status: 404, error: 'no_snapshot' }] }, 'no_snapshot'],
  ['a silent server', { starts: ['silence'] }, 'stalled'],
  ['a stream that is an error', { streams: [{ status: 503 }], ever: true }, 'stalled'],
  ['a stream that falls silent', { line: 50, streams: [{ stall: 4 }] }, 'stalled'],
  ['a refusal', { streams: [{ status: 401 }] }, 'unauthorized']
]) {
  test(`a launch in this form with ${what} goes on with the normal sync, or fails if it must`, async (t) => {
    const strict = await launch(t, structuredClone(faults));
    const failed = await strict.open({ whenUnavailable: 'fail', silenceLimit: strict.silence });
    assert.equal(failed.code, reason);
    const { app, open, silence } = await launch(t, structuredClone(faults));
    const { outcome } = await open({ silenceLimit: silence });
    assert.deepEqual([outcome.outcome, outcome.reason], ['sync', reason]);
    await app.sync();
    await assertWhole(app);
  });
}

test('a launch in this form waits for a stream', async (t) => {
  const { open } = await launch(t, { starts: [{ status: 404, error: 'no_snapshot' }, { status: 503 }] });
  const { outcome } = await open({ whenUnavailable: 'wait', silenceLimit: 600 });
  assert.equal(outcome.outcome, 'installed');
});

test('a launch in this form is cancelled', async (t) => {
  const { app, open } = await launch(t, { line: 50, streams: [{ stall: 4 }] });
  const opening = open({ silenceLimit: 60000 });
  await app.until(({ stage, bytes }) => stage === 'downloading' && bytes > 0);
  await app.tell('cancel');
  assert.equal((await opening).code, 'cancelled');
});

test('a database with a key takes this form, whatever is asked for', async (t) => {
  const { stream, app, open } = await launch(t);
  if (!app.about.keys) return t.skip('not in this package');
  const { outcome } = await open({ form: 'compact', key: 'a key' });
  assert.deepEqual([outcome.outcome, outcome.form], ['installed', 'stream']);
  await assertWhole(app);
  assert.equal(stream.served, 1);
});

test('the stream of a real Seedbed is taken, and the service sends nothing', async (t) => {
  const app = await (await device(t)).app();
  if (app.about.platform === 'web') return t.skip('it lets in no other origins');
  await app.open({ url: NOBODY });
  assert.equal(await app.sync({ seeded: { url: setUp.database, storeId: STORE }, retryDelayMs }), 0);
  await app.untilChoices(FIRST, 'powersync: synced');
  await assertWhole(app);
});
