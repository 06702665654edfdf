/**
 * Seeds stores as a script with an SDK does (https://docs.powersync.com/client-sdks/advanced/pre-seeded-sqlite): one
 * after the other, each with a token of its own, a first sync, no `client_id`, `VACUUM INTO`, and a copy where clients
 * would get it. `node seed.js` reads from standard input what to do and prints what it took, both as JSON.
 */

import { createHmac } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { PowerSyncDatabase, Schema, Table, column } from '@powersync/node';

/** `endpoint`, `secret` and `kid` of the service, the ids of `stores`, and the directory to put their files into. */
const { endpoint, secret, kid, stores, uploads } = JSON.parse(await text(process.stdin));

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

/** More than any store takes. */
const PATIENCE = 600_000;

function mintToken(store) {
  const now = Math.floor(Date.now() / 1000);
  const encode = (part) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const claims = { sub: 'seeder', aud: endpoint, iat: now, exp: now + 300, store_id: store };
  const signed = `${encode({ alg: 'HS256', typ: 'JWT', kid })}.${encode(claims)}`;
  const signature = createHmac('sha256', Buffer.from(secret, 'base64url')).update(signed).digest('base64url');
  return `${signed}.${signature}`;
}

async function seed(store) {
  const directory = await mkdtemp(join(tmpdir(), 'guide-'));
  const db = new PowerSyncDatabase({
    schema,
    database: {
      dbFilename: 'store.db',
      dbLocation: directory,
      // Nothing has to be compiled for it.
      implementation: { type: 'node:sqlite' },
      readWorkerCount: 1
    }
  });
  try {
    await db.connect({
      fetchCredentials: async () => ({ endpoint, token: mintToken(store) }),
      uploadData: async () => {}
    });
    await db.waitForFirstSync(AbortSignal.timeout(PATIENCE));
    await db.disconnect();
    await db.execute("DELETE FROM ps_kv WHERE key = 'client_id'");
    const snapshot = join(directory, 'snapshot.sqlite');
    await db.execute(`VACUUM INTO '${snapshot}'`);
    await copyFile(snapshot, join(uploads, `${store}.sqlite`));
  } finally {
    await db.close();
    await rm(directory, { recursive: true });
  }
}

/** User and system time of this process in microseconds. */
const processorTime = () => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

await mkdir(uploads, { recursive: true });
const [startedAt, before] = [performance.now(), processorTime()];
for (const store of stores) await seed(store);
const took = {
  wallMillis: performance.now() - startedAt,
  cpuMillis: (processorTime() - before) / 1000,
  peakBytes: process.resourceUsage().maxRSS * 1024
};
console.log(JSON.stringify(took));
process.exit();
