/** Runs with a clock that is a day ahead: everything in the snapshot was then made yesterday. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectAndSync, device, operationsDuring, rowsIn, service, setUp } from './support.js';

test('a snapshot that is a day and 50 changes old downloads those 50', async (t) => {
  const store = 'day-old';
  const app = await device(t, store);
  const db = await app.start(setUp.database);
  const { lastSyncedAt } = db.currentStatus;
  assert.ok(Date.now() - lastSyncedAt.getTime() > 23 * 3600 * 1000, `on this clock it was made at ${lastSyncedAt}`);
  const old = await rowsIn(db);
  const rows = await service.rows(store);
  assert.notDeepEqual(old, rows);

  const operations = await operationsDuring(store, () => connectAndSync(db, store));
  assert.equal(operations, 50);
  assert.deepEqual(await rowsIn(db), rows);
  assert.deepEqual(app.warnings, []);
});
