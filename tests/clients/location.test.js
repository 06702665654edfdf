/** React Native: the database is where the SDK opens it, whatever the app says about that. */

import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { device } from './device.js';
import { seedbed } from './servers/seedbed.js';
import { service } from './service.js';

test('by default it is where op-sqlite is at home', async (t) => {
  const server = await seedbed(t);
  const phone = await device(t);
  const app = await phone.app();
  assert.equal((await app.open({ url: server.url })).outcome, 'installed');
  const { rows } = await app.tell('query', { sql: 'SELECT file FROM pragma_database_list WHERE name = ?', parameters: ['main'] });
  assert.equal(rows[0].file, phone.file);
  assert.deepEqual(await app.rows(), await service.rows());
});

test('a database that an older SDK has put into the files of the app is found there', async (t) => {
  const server = await seedbed(t);
  const phone = await device(t);
  const app = await phone.app();
  const files = join(phone.directory, 'files');
  mkdirSync(files);
  const first = await app.open({ url: server.url, location: files });
  assert.equal(first.outcome, 'installed');
  assert.ok(existsSync(join(files, 'app.db')) && !existsSync(phone.file));
  await app.sync();
  await app.quit();

  const again = await phone.app();
  const outcome = await again.open({ url: server.url });
  assert.deepEqual([outcome.outcome, outcome.reason], ['kept', 'synced']);
  assert.deepEqual(await again.rows(), await service.rows());
  assert.ok(!existsSync(phone.file), 'there is no second database');
});

test('the signature of version 0.1 keeps to the documents', async (t) => {
  const server = await seedbed(t);
  const phone = await device(t);
  const app = await phone.app();
  assert.equal((await app.open({ url: server.url, former: true })).outcome, 'installed');
  assert.ok(existsSync(join(phone.directory, 'files', 'app.db')) && !existsSync(phone.file));
  assert.deepEqual(await app.rows(), await service.rows());
});
