/** An unmodified SDK that takes its first sync from Seedbed, by the endpoint that its credentials name, and goes on at the service. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PowerSyncDatabase } from '@powersync/node';
import { schema } from './schema.js';
import { connector, device, operationsDuring, rowsIn, service, setUp, subscribe, until } from './support.js';

/** How long an SDK waits between two tries; by default 5 s. */
const RETRY = { retryDelayMs: 100, crudUploadThrottleMs: 50 };

/** What deploy/clients/README.md tells an app to do, and a log of the endpoints that the SDK was told. */
function throughSeedbed(db, store) {
  const endpoints = [];
  let tries = 0;
  const localWrites = `SELECT 1 FROM ps_crud UNION ALL
    SELECT 1 FROM ps_kv AS target LEFT JOIN ps_kv AS seen ON seen.key = 'last_seen_checkpoint_request_id'
    WHERE target.key = 'target_checkpoint_request_id' AND CAST(target.value AS INTEGER) > CAST(ifnull(seen.value, 0) AS INTEGER)`;
  const newest = "SELECT max(CAST(name AS INTEGER)) AS generation FROM ps_buckets WHERE name <> '$local'";
  const endpoint = async (token) => {
    if (++tries > 5 || (await db.getOptional(localWrites))) return setUp.endpoint;
    const { generation } = await db.get(newest);
    const query = new URLSearchParams({ store_id: store, ...(generation !== null && { generation }) });
    const answer = await fetch(`${setUp.seedbed}/start?${query}`, { headers: { authorization: `Bearer ${token}` } });
    return answer.ok ? ((await answer.json()).endpoint ?? setUp.endpoint) : setUp.endpoint;
  };
  return {
    endpoints,
    async fetchCredentials() {
      const token = await service.token(store);
      endpoints.push(await endpoint(token));
      return { endpoint: endpoints.at(-1), token };
    },
    uploadData: connector(store).uploadData
  };
}

/** A device whose database is empty, as an app that never heard of snapshots has it. */
async function empty(t, store) {
  const { directory } = await device(t, store);
  const db = new PowerSyncDatabase({
    schema,
    database: {
      dbFilename: 'app.db',
      dbLocation: directory,
      implementation: { type: 'node:sqlite' },
      readWorkerCount: 1
    },
    logger: { log: () => {} }
  });
  await db.init();
  t.after(() => db.close());
  return db;
}

/** Waits until the SDK is connected with the service itself and has everything that there is. */
async function handedOver(db, log, streams, store) {
  const signal = AbortSignal.timeout(30_000);
  await db.waitForStatus(({ hasSynced }) => hasSynced, signal);
  await db.waitForStatus(({ connected, downloading }) => log.at(-1) === setUp.endpoint && connected && !downloading, signal);
  while ((await service.counters(store)).streams <= streams) await new Promise((resolve) => setTimeout(resolve, 20));
}

test('a first sync comes from Seedbed, and the service is asked for nothing but what changes', async (t) => {
  const store = 'fresh';
  const db = await empty(t, store);
  await subscribe(db);
  const { streams } = await service.counters(store);
  const app = throughSeedbed(db, store);
  const operations = await operationsDuring(store, async () => {
    await db.connect(app, RETRY);
    await handedOver(db, app.endpoints, streams, store);
  });
  assert.deepEqual(app.endpoints, [setUp.seedbed, setUp.endpoint]);
  assert.equal(operations, 0);
  assert.deepEqual(await rowsIn(db), await service.rows(store));
  const [changed] = await db.getAll('SELECT * FROM products ORDER BY id LIMIT 1');
  const changing = await operationsDuring(store, async () => {
    await service.put('products', { ...changed, name: 'Changed' });
    await until(db, 1, "SELECT id FROM products WHERE name = 'Changed'");
  });
  assert.equal(changing, 1);
});

test('an app that subscribes to something else is sent to the service', async (t) => {
  const store = 'shared';
  const db = await empty(t, store);
  const app = throughSeedbed(db, store);
  const { streams } = await service.counters(store);
  await db.connect(app, RETRY);
  await handedOver(db, app.endpoints, streams, store);
  // 401 had the SDK ask again, and after five tries the app names the service.
  assert.equal(new Set(app.endpoints.slice(0, -1)).size, 1);
  assert.equal(app.endpoints.at(-1), setUp.endpoint);
});
