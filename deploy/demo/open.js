/**
 * A new device of the demo: opens a store's snapshot by the package for Node in compact form, connects, and prints a line.
 *
 * node open.js SEEDBED STORE DIRECTORY; the service and what its tokens are signed with come by the variables of Seedbed.
 */

import { createHmac } from 'node:crypto';
import { PowerSyncDatabase, Schema, Table, column } from '@powersync/node';
import { openSeeded } from 'seedbed-client-node';

const [seedbed, storeId, dbLocation] = process.argv.slice(2);
const { SEEDBED_POWERSYNC__ENDPOINT: endpoint, SEEDBED_TOKEN__SECRET: secret, SEEDBED_TOKEN__KID: kid } = process.env;
const token = mintToken();

const schema = new Schema({
  products: new Table({ store_id: column.text, name: column.text, price: column.text, quantity: column.integer })
});

const started = performance.now();
let outcome;
const db = await openSeeded(
  { schema, database: { dbFilename: 'app.db', dbLocation, implementation: { type: 'node:sqlite' } } },
  {
    url: `${seedbed}/database`,
    storeId,
    getToken: async () => token,
    form: 'compact',
    whenUnavailable: 'fail',
    onOutcome: (it) => (outcome = it)
  }
);
const { rows } = await db.get('SELECT count(*) AS rows FROM products');
const seconds = ((performance.now() - started) / 1000).toFixed(1);

// The most that was to be downloaded at any time since the connection began.
let left = 0;
db.registerListener({
  statusChanged: ({ downloadProgress }) => (left = Math.max(left, downloadProgress?.totalOperations ?? 0))
});
const before = db.currentStatus.lastSyncedAt?.getTime() ?? 0;
await db.connect({ fetchCredentials: async () => ({ endpoint, token }), uploadData: async () => {} });
await db.waitForStatus(({ lastSyncedAt }) => (lastSyncedAt?.getTime() ?? 0) > before);

console.log(
  `A device with @powersync/node: ${rows} rows in ${seconds} s, ${outcome.bytes} bytes downloaded ` +
    `(${outcome.form}, ${outcome.encoding}), ${left} operations left to sync`
);
await db.disconnect();
await db.close();
process.exit();

/** What the app's backend would do. */
function mintToken() {
  const now = Math.floor(Date.now() / 1000);
  const encode = (part) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const claims = { sub: 'device', aud: endpoint, iat: now, exp: now + 300, store_id: storeId };
  const signed = `${encode({ alg: 'HS256', typ: 'JWT', kid })}.${encode(claims)}`;
  return `${signed}.${createHmac('sha256', Buffer.from(secret, 'base64url')).update(signed).digest('base64url')}`;
}
