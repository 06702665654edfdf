/** What only browsers have: tabs, which come and go, and a file system of their own. */

import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { device } from './device.js';
import { NOBODY, seedbed } from './servers/seedbed.js';
import { renditions, service } from './service.js';
import { Stream } from './servers/stream.js';

const MIB = 1024 * 1024;

async function begin(t, faults) {
  const server = await seedbed(t, faults);
  const phone = await device(t);
  const app = await phone.app();
  return { server, phone, app, plain: app.about.forms.includes('file') };
}

test('a tab that is left in the middle of a download costs at most a MiB', async (t) => {
  const { server, phone, app, plain } = await begin(t, { downloads: [{ stall: 40_000 }] });
  if (!plain) return t.skip('not with this virtual file system');
  const launch = app.tryToOpen({ url: server.url, silenceLimit: 60_000 });
  await app.until(({ stage, bytes }) => stage === 'downloading' && bytes > 32 * 1024);
  await app.tell('leave');
  assert.equal((await launch).ok, false);
  const outcome = await app.open({ url: server.url });
  assert.deepEqual([outcome.outcome, outcome.form], ['installed', 'file']);
  assert.deepEqual(await app.rows(), await service.rows());
  assert.deepEqual(await phone.leftovers(), []);
  assert.match(server.served.at(-1).range ?? '', /^bytes=[1-9]/, 'it goes on where it was');
  assert.ok(server.sent <= renditions['file/identity'].length + MIB, `${server.sent} bytes`);
});

test('a download that stands still is gone on with where it was, without an encoding', async (t) => {
  const { server, app, plain } = await begin(t, { downloads: [{ stall: 40_000 }] });
  if (!plain) return t.skip('not with this virtual file system');
  const outcome = await app.open({ url: server.url });
  assert.equal(outcome.outcome, 'installed');
  assert.deepEqual(await app.rows(), await service.rows());
  assert.match(server.served.at(-1).range ?? '', /^bytes=[1-9]/);
});

test('of two tabs one downloads, and both have every row', async (t) => {
  const { server, app, plain } = await begin(t, { pace: 2 });
  if (!plain) return t.skip('not with this virtual file system');
  const outcomes = await Promise.all([0, 1].map((tab) => app.open({ url: server.url, tab })));
  assert.deepEqual(outcomes.map(({ outcome }) => outcome).sort(), ['installed', 'kept']);
  for (const tab of [0, 1]) assert.equal((await app.tell('query', { tab, sql: 'SELECT count(*) AS n FROM products' })).rows[0].n, 300);
  assert.equal(server.served.length, 1);
});

test('a database that another tab has open is not replaced', async (t) => {
  const { server, app, plain } = await begin(t);
  if (!plain) return t.skip('not with this virtual file system');
  assert.equal((await app.open({ url: NOBODY })).outcome, 'sync');
  const second = await app.open({ url: server.url, tab: 1 });
  assert.deepEqual([second.outcome, second.reason], ['kept', 'in_use']);
});

test('a row of the user is never replaced', async (t) => {
  const { server, phone, app, plain } = await begin(t);
  if (!plain) return t.skip('not with this virtual file system');
  await app.open({ url: NOBODY });
  await app.tell('execute', { sql: "INSERT INTO drafts (id, text) VALUES ('draft', 'mine')" });
  await app.quit();
  const again = await phone.app();
  const kept = await again.open({ url: server.url });
  assert.deepEqual([kept.outcome, kept.reason], ['kept', 'local_rows']);
  assert.equal((await again.tell('query', { sql: 'SELECT text FROM drafts' })).rows[0].text, 'mine');
});

test('what was altered on the way is not installed, and nothing of it stays', async (t) => {
  const { server, phone, app, plain } = await begin(t, { downloads: [{ flip: true }], ever: true });
  if (!plain) return t.skip('not with this virtual file system');
  const outcome = await app.open({ url: server.url });
  assert.deepEqual([outcome.outcome, outcome.reason], ['sync', 'corrupt']);
  assert.deepEqual(await phone.leftovers(), []);
});

test('a cancelled launch ends at once, and the next one goes on', async (t) => {
  const { server, app, plain } = await begin(t, { downloads: [{ stall: 40_000 }] });
  if (!plain) return t.skip('not with this virtual file system');
  const launch = app.tryToOpen({ url: server.url, silenceLimit: 60_000 });
  await app.until(({ stage, bytes }) => stage === 'downloading' && bytes > 32 * 1024);
  await app.tell('cancel');
  assert.equal((await launch).code, 'cancelled');
  assert.equal((await app.open({ url: server.url })).outcome, 'installed');
});

test('with a key no row lies on the disk in plain text; without one it does', async (t) => {
  const { app, phone, server } = await begin(t, { stream: new Stream() });
  const row = (await service.rows()).find((row) => row.startsWith('products|'));
  const description = row.split('|')[4];
  assert.ok(description.length > 20, row);
  const outcome = await app.open({ url: server.url, form: 'stream', subscribe: true, key: "a key, with a ' in it" });
  assert.deepEqual([outcome.outcome, outcome.form], ['installed', 'stream']);
  assert.deepEqual(await app.rows(), await service.rows());
  await app.quit();
  assert.deepEqual(await filesWith(phone.directory, description), []);
  if (!app.about.forms.includes('file')) return;
  const other = await device(t);
  const open = await other.app();
  await open.open({ url: server.url, form: 'stream', subscribe: true });
  await open.quit();
  assert.notDeepEqual(await filesWith(other.directory, description), [], 'the search finds what is there');
});

/** The files below a directory that have a text in them. */
async function filesWith(directory, text) {
  const found = [];
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    if ((await readFile(path)).includes(text)) found.push(path);
  }
  return found;
}
