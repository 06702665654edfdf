/** Browsers only: a page or a whole browser that ends at any stage, on each virtual file system. What is written stays, what was begun is gone on with. */

import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { device } from './device.js';
import { NOBODY, seedbed } from './servers/seedbed.js';
import { renditions, service, setUp } from './service.js';
import { Stream } from './servers/stream.js';

/** As the driver is told. */
const VFS = setUp.driver.find((word) => word.endsWith('VFS'));
const PLAIN = VFS.startsWith('OPFS');

const MIB = 1024 * 1024;

/** How it ends: nothing is closed in an orderly way. The app that starts next. */
const ENDS = {
  'the page is closed': async (phone, app) => {
    await app.tell('leave');
    return app;
  },
  'the browser is killed': async (phone, app) => {
    await app.kill();
    return phone.app();
  }
};

for (const [what, end] of Object.entries(ENDS)) {
  test(`a draft that nothing but a log may have keeps the database when ${what}`, async (t) => {
    const phone = await device(t);
    const app = await phone.app();
    await app.open({ url: NOBODY });
    await app.tell('execute', { sql: "INSERT INTO drafts (id, text) VALUES ('1', 'mine')" });
    const again = await end(phone, app);
    const server = await seedbed(t, { stream: new Stream() });
    const outcome = await again.open({ url: server.url, subscribe: true });
    assert.deepEqual([outcome.outcome, outcome.reason], ['kept', 'local_rows']);
    assert.deepEqual((await again.tell('query', { sql: 'SELECT text FROM drafts' })).rows, [{ text: 'mine' }]);
    assert.deepEqual(server.questions, []);
    assert.deepEqual(await phone.leftovers(), []);
  });
}

/** Everything is there, and nothing of it is a local write. */
async function assertWhole(app) {
  assert.deepEqual(await app.rows(), await service.rows());
  assert.deepEqual((await app.tell('query', { sql: 'SELECT * FROM ps_crud' })).rows, []);
}

/** One device after the other that ends at each stage, with one launch each; then a launch that may finish. */
async function endsAtEachStage(t, end, form, stages) {
  // Slow enough that pieces are handed on while others are still to come.
  const server = await seedbed(t, { renditions, pace: 100 });
  const phone = await device(t);
  let app = await phone.app();
  const seen = [];
  for (const stage of stages) {
    app.progress.length = 0;
    const launch = app.tryToOpen({ url: server.url, form }).catch(() => {});
    await Promise.race([launch, app.until((progress) => progress.stage === stage && (stage !== 'downloading' || progress.bytes > 0))]);
    seen.push(app.progress.at(-1)?.stage);
    app = await end(phone, app);
    await launch;
  }
  const outcome = await app.open({ url: server.url, form });
  assert.ok(['installed', 'kept'].includes(outcome.outcome), JSON.stringify(outcome));
  assert.deepEqual(await phone.leftovers(), []);
  await assertWhole(app);
  assert.equal(await app.sync(), 0, 'nothing is downloaded again');
  const twice = server.sent - renditions[`${form}/identity`].length;
  assert.ok(twice <= stages.length * MIB, `${twice} bytes were sent twice`);
  assert.ok(seen.includes('downloading'), `${seen}`);
}

for (const [what, end] of Object.entries(ENDS)) {
  for (const form of PLAIN ? ['file', 'compact'] : []) {
    test(`a launch in the form ${form} is gone on with when ${what}, at any stage`, async (t) => {
      await endsAtEachStage(t, end, form, ['waiting', 'downloading', 'unpacking', 'finishing']);
    });
  }

  test(`a launch in the form stream is gone on with when ${what}`, async (t) => {
    const stream = new Stream({ line: 50, streams: [{ stall: 4 }] });
    const server = await seedbed(t, { stream });
    const phone = await device(t);
    const app = await phone.app();
    const launch = app.tryToOpen({ url: server.url, form: 'stream', subscribe: true, silenceLimit: 60_000 }).catch(() => {});
    await app.until(({ stage, bytes }) => stage === 'downloading' && bytes > 0);
    const again = await end(phone, app);
    await launch;
    const outcome = await again.open({ url: server.url, form: 'stream', subscribe: true });
    // With positions of its own it goes on at the service.
    assert.ok(['installed', 'sync'].includes(outcome.outcome), JSON.stringify(outcome));
    const all = (await service.rows()).length;
    const operations = await again.sync();
    assert.ok(operations < all, `${operations} of ${all} came again`);
    await assertWhole(again);
  });
}

test('with a key no row is readable in any file, in the middle of a first sync, after a kill, and afterwards', async (t) => {
  // The SDK (2.4.0) itself says `file is not a database`.
  if (VFS === 'OPFSWriteAheadVFS') return t.skip('not with this virtual file system');
  const known = (await service.rows()).filter((row) => row.startsWith('products|')).map((row) => row.split('|')[4]);
  const key = 'a key';
  const server = await seedbed(t, { stream: new Stream({ line: 50, streams: [{ stall: 4 }] }) });
  const phone = await device(t);
  const app = await phone.app();
  const open = { url: server.url, form: 'compact', subscribe: true, key };
  const launch = app.tryToOpen({ ...open, silenceLimit: 60_000 }).catch(() => {});
  await app.until(({ stage, bytes }) => stage === 'downloading' && bytes > 0);
  assert.deepEqual(await readable(phone.directory, known), []);
  await app.kill();
  await launch;
  assert.deepEqual(await readable(phone.directory, known), []);
  const again = await phone.app();
  await again.open(open);
  await again.sync();
  await assertWhole(again);
  assert.deepEqual(await readable(phone.directory, known), []);
  await again.tell('disconnect');
  await again.quit();
  assert.deepEqual(await readable(phone.directory, known), []);
});

/** The files of the browser's profile in which one of these texts can be read. */
async function readable(directory, texts) {
  const found = [];
  for (const name of await readdir(directory, { recursive: true })) {
    const bytes = await readFile(join(directory, name)).catch(() => undefined);
    if (bytes && texts.some((text) => bytes.includes(text))) found.push(name);
  }
  return found;
}
