/** Kotlin only: how the package finds out that a database has a key, what it reports, and the lines of its README for the stream form. */

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { readdir } from 'node:fs/promises';
import { test } from 'node:test';
import { text } from 'node:stream/consumers';
import { device } from '../device.js';
import { NOBODY, seedbed } from '../servers/seedbed.js';
import { STORE, service, setUp } from '../service.js';
import { Stream } from '../servers/stream.js';

test('a database with a key downloads no file, and nothing of one touches the disk', async (t) => {
  const server = await seedbed(t);
  const phone = await device(t);
  const app = await phone.app();
  const outcome = await app.open({ url: server.url, form: 'compact', key: 'a key' });
  assert.deepEqual([outcome.outcome, outcome.reason], ['sync', 'no_snapshot'], 'there is no stream');
  assert.deepEqual(server.questions, []);
  assert.deepEqual(await phone.leftovers(), []);
  const refused = await (await device(t)).app();
  const failed = await refused.tryToOpen({ url: server.url, key: 'a key', whenUnavailable: 'fail' });
  assert.deepEqual([failed.ok, failed.code], [false, 'no_snapshot']);
});

test('a factory that encrypts nothing opens no database that is to be encrypted', async (t) => {
  const server = await seedbed(t, { stream: new Stream() });
  for (const form of ['file', 'stream']) {
    const phone = await device(t);
    const app = await phone.app();
    const refused = await app.tryToOpen({ url: server.url, form, encryption: 'chacha20' });
    assert.match(refused.message, /encrypts nothing/);
    assert.deepEqual([refused.ok, refused.outcome.outcome, refused.outcome.reason], [false, 'failed', 'not_openable']);
    assert.deepEqual(await readdir(phone.directory), []);
  }
  assert.deepEqual(server.questions, []);
});

test('a report says how the launch went, with the token of the user', async (t) => {
  const { promise: reported, resolve } = Promise.withResolvers();
  const server = await seedbed(t);
  const front = createServer(async (request, response) => {
    if (request.url !== `/reports?store_id=${STORE}`) return response.writeHead(307, { location: `${server.address}${request.url}` }).end();
    resolve({ method: request.method, token: request.headers.authorization, body: JSON.parse(await text(request)) });
    response.writeHead(204).end();
  });
  await new Promise((listening) => front.listen(0, '127.0.0.1', listening));
  t.after(() => front.close());
  const app = await (await device(t)).app();
  // The redirect goes to another server, which is not given the token: hence 401.
  const url = `http://127.0.0.1:${front.address().port}/database`;
  const outcome = await app.open({ url, report: true });
  const { method, token, body } = await reported;
  assert.equal(method, 'POST');
  assert.match(token, /^Bearer .+\..+\..+/);
  assert.deepEqual([outcome.outcome, outcome.reason], ['sync', 'unauthorized']);
  const { launch, seconds, core, package: version, ...rest } = body;
  assert.match(launch, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.deepEqual(rest, { v: 1, outcome: 'sync', form: null, encoding: null, reason: 'unauthorized', bytes: 0, resumes: 0, platform: 'kotlin' });
  assert.ok(seconds.waiting >= 0);
  assert.match(core, /^\d+\.\d+\.\d+$/);
  assert.match(version, /^\d+\.\d+\.\d+$/);
});

test('fetchCredentials alone takes the first sync from Seedbed, and the service sends nothing', async (t) => {
  const stream = new Stream();
  const server = await seedbed(t, { stream });
  const app = await (await device(t)).app();
  await app.open({ url: NOBODY });
  const before = await service.counters(STORE);
  const first = `${server.address}/stores/${STORE}`;
  await app.tell('connect', { endpoint: setUp.endpoint, first, token: await service.token(STORE) });
  assert.deepEqual(await app.rows(), await service.rows());
  while ((await service.counters(STORE)).streams === before.streams) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal((await service.counters(STORE)).operations, before.operations, 'it goes on at its position');
  assert.equal(stream.served, 1);
});
