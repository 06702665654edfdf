/** From a snapshot to a connected app: against the PowerSync service, and Seedbed's own API. */

import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import {
  clientId,
  connectAndSync,
  device,
  nobody,
  operationsDuring,
  rowsIn,
  service,
  setUp,
  subscribe,
  until
} from './support.js';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

test('a fresh snapshot is read before connecting, and connecting downloads nothing', async (t) => {
  const store = 'fresh';
  const { warnings, ...app } = await device(t, store);
  const db = await app.start(setUp.database);
  const rows = await service.rows(store);
  assert.ok(rows.length > 100);
  assert.deepEqual(await rowsIn(db), rows);

  await subscribe(db);
  const connecting = await operationsDuring(store, () => connectAndSync(db, store));
  assert.equal(connecting, 0);
  assert.deepEqual(warnings, []);

  const changed = await db.get('SELECT * FROM products ORDER BY id LIMIT 1');
  const changing = await operationsDuring(store, async () => {
    await service.put('products', { ...changed, name: 'Changed' });
    await until(db, 1, "SELECT id FROM products WHERE name = 'Changed'");
  });
  assert.equal(changing, 1);

  const removing = await operationsDuring(store, async () => {
    await service.remove('products', changed.id);
    await until(db, 0, 'SELECT id FROM products WHERE id = ?', [changed.id]);
  });
  assert.equal(removing, 1);
  assert.deepEqual(await rowsIn(db), await service.rows(store));
});

test('two devices with one snapshot are two clients', async (t) => {
  const store = 'shared';
  const snapshot = new DatabaseSync(setUp.snapshots[store].file, { readOnly: true });
  const own = snapshot.prepare("SELECT count(*) AS client_ids FROM ps_kv WHERE key = 'client_id'").get();
  snapshot.close();
  assert.equal(own.client_ids, 0);

  const before = (await service.clientIds(store)).length;
  const ids = [];
  for (const app of [await device(t, store), await device(t, store)]) {
    const db = await app.start(setUp.database);
    await subscribe(db);
    await connectAndSync(db, store);
    ids.push(await clientId(db));
    await db.disconnect();
  }
  assert.match(ids[0], UUID);
  assert.match(ids[1], UUID);
  assert.notEqual(ids[0], ids[1]);
  assert.deepEqual([...new Set((await service.clientIds(store)).slice(before))], ids);
});

test('a device keeps its database and its client_id', async (t) => {
  const store = 'shared';
  const app = await device(t, store);
  const first = await app.start(setUp.database);
  const id = await clientId(first);
  await first.close();
  const getToken = () => assert.fail('a token was asked for');
  const second = await app.start(await nobody(), { getToken });
  assert.equal(await clientId(second), id);
  assert.deepEqual(await rowsIn(second), await service.rows(store));
  assert.deepEqual(app.warnings, []);
});
