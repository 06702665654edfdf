/**
 * A device's first launch in one of several ways, until a query sees all rows: `node launch.js` reads from standard input
 * what to do and prints what it took, both as JSON. Loading this script is not measured.
 */

import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { text } from 'node:stream/consumers';
import { PowerSyncDatabase, Schema, Table, column } from '@powersync/node';
import { openSeeded } from '../../../deploy/clients/node/index.js';

/**
 * `way`; `endpoint` of the service and `seedbed`, without a path; the `token` for both; the `store` and how many `rows` it
 * has; an empty `directory`; `cachePages` for finishing, if not SQLite's own number.
 */
const { way, endpoint, seedbed, token, store, rows, directory, cachePages } = JSON.parse(await text(process.stdin));

const schema = new Schema({
  products: new Table({
    store_id: column.text,
    name: column.text,
    description: column.text,
    price: column.text,
    quantity: column.integer,
    created_at: column.text,
    image_url: column.text
  })
});

const options = {
  schema,
  // Nothing has to be compiled for it.
  database: { dbFilename: 'app.db', dbLocation: directory, implementation: { type: 'node:sqlite' }, readWorkerCount: 1 }
};

/** Stages of a package's launch in seconds. */
let stages = {};

/** As the app of PowerSync's guide does it. */
async function guide() {
  const answer = await fetch(`${seedbed}/database?store_id=${store}`, { headers: { authorization: `Bearer ${token}` } });
  const { databaseUrl } = await answer.json();
  const { body } = await fetch(databaseUrl);
  await pipeline(body, createWriteStream(join(directory, 'app.db')));
  const db = new PowerSyncDatabase(options);
  await db.execute("INSERT OR IGNORE INTO ps_kv (key, value) VALUES ('client_id', uuid())");
  return db;
}

/** The SDK's own first sync, from the service or from Seedbed. */
async function sync(from) {
  const db = new PowerSyncDatabase(options);
  await db.connect({ fetchCredentials: async () => ({ endpoint: from, token }), uploadData: async () => {} });
  await db.waitForFirstSync();
  return db;
}

/** By the package; a launch that falls back is none. */
function packaged(form) {
  return openSeeded(options, {
    url: `${seedbed}/database`,
    storeId: store,
    getToken: async () => token,
    form,
    whenUnavailable: 'fail',
    prepare: cachePages && ((connection) => connection.query(`PRAGMA cache_size = ${cachePages}`)),
    onOutcome: ({ seconds }) => (stages = seconds)
  });
}

const ways = {
  guide,
  sync: () => sync(endpoint),
  stream: () => sync(seedbed),
  file: () => packaged('file'),
  compact: () => packaged('compact')
};

const processorTime = () => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

const [startedAt, before] = [performance.now(), processorTime()];
const db = await ways[way]();
const { count } = await db.get('SELECT count(*) AS count FROM products');
const peakKib = process.resourceUsage().maxRSS;
const took = { millis: performance.now() - startedAt, cpuMillis: (processorTime() - before) / 1000, peakKib, stages };
if (count !== rows) throw new Error(`${count} of ${rows} rows are there`);
await db.close();
console.log(JSON.stringify(took));
process.exit();
