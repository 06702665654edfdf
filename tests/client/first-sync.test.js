/** An unmodified SDK that takes its first sync from Seedbed, by the endpoint that its credentials name, and goes on at the service. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { PowerSyncDatabase } from '@powersync/node';
import { inFrontOf } from '../clients/servers/powersync.js';
import { schema } from './schema.js';
import { device, operationsDuring, rowsIn, service, setUp, subscribe, until } from './support.js';

/** How long an SDK waits between two tries; by default 5 s. */
const RETRY = { retryDelayMs: 100, crudUploadThrottleMs: 50 };

/** The question of deploy/clients/README.md. */
const README = await readFile(new URL('../../deploy/clients/README.md', import.meta.url), 'utf8');
const [, QUESTION] = /^```sql\n([^`]+)^```/m.exec(README);

/**
 * What deploy/clients/README.md tells an app to do, and a log of the endpoints that the SDK was told.
 *
 * @param {object} options `powersync`: the service, by default the one that knows no writes. `named`: called when Seedbed was named.
 */
function throughSeedbed(db, store, { powersync = setUp.endpoint, named = async () => {} } = {}) {
  const endpoints = [];
  let tries = 0;
  const askStart = async (generation, token) => {
    const query = new URLSearchParams({ store_id: store, ...(generation !== null && { generation }) });
    const answer = await fetch(`${setUp.seedbed}/start?${query}`, { headers: { authorization: `Bearer ${token}` } });
    return answer.ok ? answer.json() : undefined;
  };
  const choose = async (token) => {
    const { generation, settled } = await db.get(QUESTION);
    const start = settled && tries < 3 ? await askStart(generation, token) : undefined;
    if (start?.from !== 'seedbed') return powersync;
    tries++;
    await named();
    return start.endpoint;
  };
  return {
    endpoints,
    async fetchCredentials() {
      const token = await service.token(store);
      endpoints.push(await choose(token));
      return { endpoint: endpoints.at(-1), token };
    },
    async uploadData() {
      for (let writes; (writes = await db.getNextCrudTransaction()); await writes.complete()) {
        for (const { table, id, opData } of writes.crud) await service.put(table, { id, ...opData });
      }
    }
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
  // 401 had the SDK ask again, and after three tries the app names the service.
  assert.equal(app.endpoints.filter((endpoint) => endpoint === setUp.seedbed).length, 3);
  assert.equal(new Set(app.endpoints.slice(0, -1)).size, 1);
  assert.equal(app.endpoints.at(-1), setUp.endpoint);
});

/** A service that knows of writes, in front of the other, until the test ends. */
async function withWrites(t) {
  const { url, stop } = await inFrontOf(setUp.endpoint);
  t.after(stop);
  return url;
}

/** An order as no store has one. */
const write = (db, store) =>
  db.execute("INSERT INTO orders (id, store_id, status, total) VALUES (uuid(), ?, 'open', 777)", [store]);

/** Waits until every row is there, with what the device has written, and nothing is left to upload. */
async function everythingIs(db, store, own) {
  const there = async () => {
    const rows = await service.rows(store);
    const mine = rows.filter((row) => row.endsWith('|open|777')).length;
    const left = await db.getAll('SELECT * FROM ps_crud');
    return mine === own && left.length === 0 && JSON.stringify(await rowsIn(db)) === JSON.stringify(rows);
  };
  for (const end = Date.now() + 30_000; !(await there()); await new Promise((resolve) => setTimeout(resolve, 50))) {
    assert.ok(Date.now() < end, 'rows or writes are missing');
  }
}

test('what is written before the first sync is uploaded, and everything comes from the service', async (t) => {
  const store = 'written';
  const db = await empty(t, store);
  await subscribe(db);
  await write(db, store);
  const app = throughSeedbed(db, store, { powersync: await withWrites(t) });
  await db.connect(app, RETRY);
  await everythingIs(db, store, 1);
  assert.ok(!app.endpoints.includes(setUp.seedbed));
});

test('what is written while the first sync is under way is uploaded, and no row is downloaded twice', async (t) => {
  const store = 'shared';
  const db = await empty(t, store);
  await subscribe(db);
  // Seedbed was named, and is asked now.
  const app = throughSeedbed(db, store, { powersync: await withWrites(t), named: () => write(db, store) });
  const operations = await operationsDuring(store, async () => {
    await db.connect(app, RETRY);
    await everythingIs(db, store, 1);
  });
  assert.equal(app.endpoints[0], setUp.seedbed);
  assert.equal(app.endpoints.at(-1), app.endpoints.find((endpoint) => endpoint !== setUp.seedbed));
  // Its own row comes back, and nothing that Seedbed has sent.
  assert.ok(operations <= 1, `${operations} operations`);
});

test('after a change of the sync config, a device takes the new one from Seedbed and keeps what it writes meanwhile', async (t) => {
  const store = 'renamed';
  const db = await empty(t, store);
  await subscribe(db);
  const { streams } = await service.counters(store);
  const before = throughSeedbed(db, store);
  await db.connect(before, RETRY);
  await handedOver(db, before.endpoints, streams, store);
  await db.disconnect();
  const rows = await rowsIn(db);

  await service.redeploy();
  const admin = { authorization: `Bearer ${setUp.adminToken}`, 'content-type': 'application/json' };
  const run = await fetch(`${setUp.seedbed}/api/runs`, { method: 'POST', headers: admin, body: '{}' });
  assert.ok(run.ok, await run.text());
  const headers = { authorization: `Bearer ${await service.token(store)}` };
  const { generation } = await db.get("SELECT max(CAST(name AS INTEGER)) AS generation FROM ps_buckets WHERE name <> '$local'");
  const asked = `${setUp.seedbed}/start?store_id=${store}&generation=${generation}`;
  for (let why; why !== 'new_config'; ({ why } = await (await fetch(asked, { headers })).json()));

  const after = throughSeedbed(db, store, { powersync: await withWrites(t), named: () => write(db, store) });
  const operations = await operationsDuring(store, async () => {
    await db.connect(after, RETRY);
    assert.deepEqual((await rowsIn(db)).filter((row) => !row.endsWith('|open|777')), rows, 'rows vanish meanwhile');
    await everythingIs(db, store, 1);
  });
  assert.equal(after.endpoints[0], setUp.seedbed);
  assert.ok(operations <= 1, `${operations} operations`);
});
