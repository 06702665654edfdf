/** What `tests/it/first_launch` has set up: the PowerSync service, its snapshots, and the driver. */

import { DatabaseSync } from 'node:sqlite';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { orders, products } from './schema.js';

/**
 * `endpoint`: the service. `control`: where it can be changed and counted. `snapshots`: the file of each store's
 * snapshot, and its compact form in gzip (`compact`). `driver`: the program of the package. `smallDisk`: a folder with 2 MiB, if there is one.
 */
export const setUp = JSON.parse(process.env.SEEDBED_CLIENT_TESTS);

export const { driver } = setUp;

export const STORE = 'store';

/** The service from behind. */
export const service = {
  token: (store) => control(`stores/${store}/token`),
  counters: (store) => control(`stores/${store}/counters`),
  /** The rows that the app should have, as `App.rows` lists them. */
  async rows() {
    const columns = { products, orders };
    const rows = (await control(`stores/${STORE}/rows`)).filter(({ table }) => table in columns);
    const line = ({ table, row }) => [table, row.id, ...columns[table].map(([name]) => row[name])].join('|');
    return rows.map(line).sort();
  }
};

async function control(path) {
  const answer = await fetch(`${setUp.control}/${path}`);
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

/** What the worker has made of the store, as a file and compact, plain, in gzip and in zstd. */
export const renditions = await makeRenditions();

/** @returns what is served, by `FORM/ENCODING`, after a change of both databases. */
export async function makeRenditions(change) {
  const { file, compact } = setUp.snapshots[STORE];
  const packed = await readFile(compact);
  const plain = { file: await readFile(file), compact: gunzipSync(packed) };
  const all = {};
  for (const form of ['file', 'compact']) {
    const bytes = change ? await edited(plain[form], change) : plain[form];
    all[`${form}/identity`] = bytes;
    all[`${form}/gzip`] = gzipSync(bytes);
    all[`${form}/zstd`] = zstdCompressSync(bytes);
  }
  // The worker's own.
  if (!change) all['compact/gzip'] = packed;
  return all;
}

/**
 * What the worker has sealed: by `FORM/CIPHER`, each with its `key`.
 *
 * @returns {Promise<Record<string, Buffer & { key: string }>>}
 */
export async function sealedRenditions(cipher) {
  const authorization = `Bearer ${await service.token(STORE)}`;
  const all = {};
  for (const form of ['file', 'compact']) {
    const answer = await fetch(`${setUp.database}?store_id=${STORE}&form=${form}&encoding=${cipher}`, { headers: { authorization } });
    const { databaseUrl, key } = await answer.json();
    const bytes = Buffer.from(await (await fetch(databaseUrl)).arrayBuffer());
    all[`${form}/${cipher}`] = Object.assign(bytes, { key });
  }
  return all;
}

/** The bytes of a database after a change. */
async function edited(bytes, change) {
  const directory = await mkdtemp(join(tmpdir(), 'seedbed-rendition-'));
  try {
    const path = join(directory, 'snapshot.db');
    await writeFile(path, bytes);
    const db = new DatabaseSync(path);
    change(db);
    db.exec('VACUUM');
    db.close();
    return await readFile(path);
  } finally {
    await rm(directory, { recursive: true });
  }
}
