/** The app in the browser: how long until a query sees all rows, and how long a query waits at most. */

import { PowerSyncDatabase, Schema, Table, column } from '@powersync/web';
import { openSeeded } from '../../../deploy/clients/web/index.js';

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

const worker = new URL('/node_modules/@powersync/web/dist/worker/worker.js', location.href).href;

/** Milliseconds between two queries of the app. */
const BETWEEN = 10;

globalThis.begin = async ({ way, vfs, endpoint, seedbed, token, store, rows }) => {
  const options = { schema, database: { dbFilename: 'app.db', vfs, worker }, sync: { worker } };
  const source = { url: `${seedbed}/database`, storeId: store, getToken: async () => token, form: 'compact', whenUnavailable: 'fail' };
  const started = performance.now();
  const db = way === 'compact' ? await openSeeded(options, source) : new PowerSyncDatabase(options);
  if (way !== 'compact') {
    await db.init();
    const from = way === 'sync' ? endpoint : seedbed;
    const connector = { fetchCredentials: async () => ({ endpoint: from, token }), uploadData: async () => {} };
    void db.connect(connector, { connectionMethod: 'http' });
  }
  // Before there is a database nothing can be read.
  let blockedMillis = way === 'compact' ? performance.now() - started : 0;
  for (;;) {
    const asked = performance.now();
    const { count } = await db.get('SELECT count(*) AS count FROM products');
    blockedMillis = Math.max(blockedMillis, performance.now() - asked);
    if (count === rows) break;
    await new Promise((resolve) => setTimeout(resolve, BETWEEN));
  }
  return { millis: performance.now() - started, cpuMillis: 0, stages: {}, blockedMillis };
};
