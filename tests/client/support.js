/**
 * What the tests of the example client share: the PowerSync service and the snapshots that `tests/it/delivery/clients.rs` has
 * set up, and a device to install on.
 */

import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSeeded } from '../../deploy/clients/node/index.js';
import { columns, schema } from './schema.js';

/**
 * `endpoint`: the PowerSync service. `control`: where it can be changed and counted. `database`: Seedbed's
 * `GET /database`. `snapshots`: the file of each store's snapshot.
 */
export const setUp = JSON.parse(process.env.SEEDBED_CLIENT_TESTS ?? '{}');

/** Longer than anything takes that a test waits for. */
const PATIENCE = 60_000;

/** The service, seen from behind. */
export const service = {
  /** A token for the store. */
  token: (store) => control('GET', `stores/${store}/token`),
  /** What has gone over the wire for the store since the service was started. */
  counters: (store) => control('GET', `stores/${store}/counters`),
  /** The `client_id` of each request for the store, oldest first. */
  clientIds: (store) => control('GET', `stores/${store}/client-ids`),
  /** The rows that a client of the store should have, as `rowsIn` lists them. */
  rows: async (store) => tables((await control('GET', `stores/${store}/rows`)).map(({ table, row }) => [table, row])),
  /** Inserts or replaces a row. */
  put: (table, row) => control('PUT', `rows/${table}`, row),
  /** Has every bucket named otherwise, as a change of the sync config does. */
  redeploy: () => control('POST', 'redeploy'),
  /** Removes a row. */
  remove: (table, id) => control('DELETE', `rows/${table}/${id}`)
};

async function control(method, path, body) {
  const answer = await fetch(`${setUp.control}/${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    body: body && JSON.stringify(body)
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

/** The operations that are downloaded for the store while `work` runs. */
export async function operationsDuring(store, work) {
  const before = await service.counters(store);
  await work();
  return (await service.counters(store)).operations - before.operations;
}

/** A device of a user of the store: a directory for its database, and what it logs. */
export async function device(t, store) {
  const directory = await mkdtemp(join(tmpdir(), 'seedbed-client-'));
  const opened = [];
  const device = {
    store,
    directory,
    file: join(directory, 'app.db'),
    warnings: [],
    /** Starts the app: opens the database, from a snapshot that `url` gives if there is none yet. */
    async start(url, source = {}) {
      const db = await openSeeded(
        {
          schema,
          database: {
            dbFilename: 'app.db',
            dbLocation: directory,
            implementation: { type: 'node:sqlite' },
            readWorkerCount: 1
          },
          logger: { log: ({ level, message, error }) => level >= 40 && device.warnings.push(`${message}: ${error}`) }
        },
        { url, storeId: store, getToken: () => service.token(store), ...source }
      );
      opened.push(db);
      return db;
    },
    /** The files that there are, but for those that SQLite keeps beside an open database. */
    files: async () => (await readdir(directory)).filter((name) => !/-(wal|shm)$/.test(name)).sort()
  };
  t.after(async () => {
    for (const db of opened) await db.close();
    await rm(directory, { recursive: true });
  });
  return device;
}

/** A URL at which nobody answers. */
export async function nobody() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return `http://127.0.0.1:${port}/database`;
}

/** The app's connection to the service. */
export function connector(store) {
  return {
    fetchCredentials: async () => ({ endpoint: setUp.endpoint, token: await service.token(store) }),
    uploadData: async () => {}
  };
}

/** What the app subscribes to, as the snapshots did. */
export const subscribe = (db) => db.syncStream('orders_by_status', { status: 'open' }).subscribe();

/** Connects, and waits until the SDK says that it has synced, again if the snapshot had. */
export async function connectAndSync(db, store) {
  const before = db.currentStatus.lastSyncedAt?.getTime() ?? 0;
  await db.connect(connector(store));
  await db.waitForStatus(({ lastSyncedAt }) => (lastSyncedAt?.getTime() ?? 0) > before, AbortSignal.timeout(PATIENCE));
}

/** Everything that the app sees in its tables, in a fixed order. */
export async function rowsIn(db) {
  const read = async (table) => (await db.getAll(`SELECT * FROM ${table}`)).map((row) => [table, row]);
  return tables([...(await read('products')), ...(await read('orders'))]);
}

function tables(rows) {
  const line = ([table, row]) => [table, ...columns[table].map((name) => row[name])].join('|');
  return rows
    .filter(([table]) => table in columns)
    .map(line)
    .sort();
}

/** Waits until a query that the app watches has this many rows. */
export async function until(db, count, sql, parameters) {
  const signal = AbortSignal.timeout(PATIENCE);
  for await (const { rows } of db.watchWithAsyncGenerator(sql, parameters, { signal })) {
    if (rows.length === count) return;
  }
  throw new Error(`never ${count} rows: ${sql}`);
}

export async function clientId(db) {
  const { value } = await db.get("SELECT value FROM ps_kv WHERE key = 'client_id'");
  return value;
}
