/** Each form in each encoding, and what an app sees of a launch. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { device } from './device.js';
import { seedbed } from './servers/seedbed.js';
import { STORE, renditions, service } from './service.js';

for (const form of ['file', 'compact']) {
  for (const encoding of ['identity', 'gzip', 'zstd']) {
    test(`${form}/${encoding}: every row is there offline, and connecting downloads nothing`, async (t) => {
      const name = `${form}/${encoding}`;
      const only = { [name]: renditions[name], [`${form}/identity`]: renditions[`${form}/identity`] };
      const server = await seedbed(t, { renditions: only });
      const phone = await device(t);
      const app = await phone.app();
      if (!app.about.forms.includes(form) || !app.about.encodings.includes(encoding)) return t.skip('not in this package');

      const outcome = await app.open({ url: server.url, form });
      assert.equal(outcome.outcome, 'installed', JSON.stringify(outcome));
      assert.equal(`${outcome.form}/${outcome.encoding}`, name);
      // A browser counts what it has unpacked by itself.
      assert.equal(outcome.bytes, renditions[app.about.decodes && name === 'file/gzip' ? 'file/identity' : name].length);
      assert.deepEqual(await phone.leftovers(), []);
      assert.equal(server.served[0].authorization, undefined, 'a signed URL takes no token');

      assert.deepEqual(await app.rows(), await service.rows());
      assert.deepEqual((await app.tell('status')).hasSynced, true, 'without a connection');
      const { rows: writes } = await app.tell('query', { sql: 'SELECT * FROM ps_crud' });
      assert.deepEqual(writes, [], 'no row of the snapshot is an upload');
      assert.equal(await app.sync(), 0);
      assert.deepEqual(await app.rows(), await service.rows());

      await app.quit();
      const again = await phone.app();
      const kept = await again.open({ url: server.url, form });
      assert.deepEqual([kept.outcome, kept.reason], ['kept', 'synced']);
      assert.equal(server.questions.length, 1, 'nothing is asked for a database that is there');
    });
  }
}

test('progress has stages in order, bytes that only grow, and totals', async (t) => {
  const server = await seedbed(t);
  const app = await (await device(t)).app();
  const form = app.about.forms.includes('compact') ? 'compact' : 'file';
  const outcome = await app.open({ url: server.url, form });
  assert.deepEqual([outcome.outcome, outcome.form], ['installed', form]);
  const order = ['waiting', 'downloading', 'unpacking', 'finishing'];
  const stages = app.progress.map(({ stage }) => order.indexOf(stage));
  assert.deepEqual(stages, [...stages].sort());
  assert.ok(!stages.includes(-1));
  const downloading = app.progress.filter(({ stage }) => stage === 'downloading');
  const bytes = downloading.map(({ bytes }) => bytes);
  assert.deepEqual(bytes, [...bytes].sort((a, b) => a - b));
  assert.equal(bytes.at(-1), downloading[0].total);
  assert.ok(stages.includes(order.indexOf('finishing')));
});

test('an older server is asked again, for a plain file', async (t) => {
  const server = await seedbed(t, { older: true });
  const phone = await device(t);
  const app = await phone.app();
  const outcome = await app.open({ url: server.url, form: app.about.forms.at(-1) });
  assert.deepEqual([outcome.outcome, outcome.form, outcome.encoding], ['installed', 'file', 'identity']);
  assert.deepEqual(await app.rows(), await service.rows());
  assert.equal(await app.sync(), 0);
});

test('where there is no compact rendition, the file is taken', async (t) => {
  const server = await seedbed(t, { renditions: { 'file/identity': renditions['file/identity'] } });
  const app = await (await device(t)).app();
  const outcome = await app.open({ url: server.url, form: app.about.forms.at(-1) });
  assert.deepEqual([outcome.outcome, outcome.form], ['installed', 'file']);
});

test('two devices with one snapshot are two clients', async (t) => {
  const server = await seedbed(t);
  const ids = [];
  for (let device_ = 0; device_ < 2; device_++) {
    const app = await (await device(t)).app();
    const outcome = await app.open({ url: server.url, form: app.about.forms.at(-1) });
    assert.equal(outcome.outcome, 'installed');
    const { rows } = await app.tell('query', { sql: "SELECT value FROM ps_kv WHERE key = 'client_id'" });
    ids.push(rows[0].value);
  }
  assert.match(ids[0], /^[0-9a-f-]{36}$/);
  assert.notEqual(ids[0], ids[1]);
});

test('after disconnectAndClear the next launch takes a snapshot again', async (t) => {
  const server = await seedbed(t);
  const phone = await device(t);
  const app = await phone.app();
  await app.open({ url: server.url });
  await app.sync();
  await app.tell('clear', { soft: false });
  await app.quit();
  const again = await phone.app();
  const outcome = await again.open({ url: server.url });
  assert.equal(outcome.outcome, 'installed', JSON.stringify(outcome));
  assert.deepEqual(await again.rows(), await service.rows());
  assert.equal(await again.sync(), 0);
});

test('of two launches at once one downloads, and both have every row', async (t) => {
  const server = await seedbed(t, { pace: 2 });
  const phone = await device(t);
  const apps = [await phone.app(), await phone.app()];
  if (apps[0].about.single) return t.skip('one process has all tabs');
  const outcomes = await Promise.all(apps.map((app) => app.open({ url: server.url })));
  assert.deepEqual(outcomes.map(({ outcome }) => outcome).sort(), ['installed', 'kept']);
  for (const app of apps) assert.deepEqual(await app.rows(), await service.rows());
  assert.equal(server.served.length, 1);
  assert.deepEqual(await phone.leftovers(), []);
});

test('an account that is not in the record may use it; the record names the store', async (t) => {
  const server = await seedbed(t);
  const phone = await device(t);
  const app = await phone.app();
  await app.open({ url: server.url, account: 'ann', endpoint: 'https://powersync.example.com/' });
  const { rows } = await app.tell('query', { sql: "SELECT value FROM ps_kv WHERE key = 'seedbed_store'" });
  assert.deepEqual(JSON.parse(rows[0].value), {
    store: STORE,
    service: 'https://powersync.example.com',
    account: 'ann'
  });
});
