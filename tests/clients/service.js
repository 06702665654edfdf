/** What `tests/it/first_launch` has set up: the PowerSync service, its snapshots, and the driver. */

import { DatabaseSync } from 'node:sqlite';
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { orders, products } from './schema.js';

/**
 * `endpoint`: the service. `control`: where it can be changed and counted. `snapshots`: the file of each store's
 * snapshot. `driver`: the program of the package. `smallDisk`: a folder with 2 MiB, if there is one.
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

/** The snapshot's bytes as a file, compact, and both with gzip. */
export const renditions = await makeRenditions(setUp.snapshots[STORE].file);

/** @returns what is served, by `FORM/ENCODING`. */
export async function makeRenditions(snapshot, change = () => {}) {
  const file = await edited(snapshot, change);
  const compact = await edited(snapshot, (db) => {
    change(db);
    makeCompact(db);
  });
  return {
    'file/identity': file,
    'file/gzip': gzipSync(file),
    'compact/identity': compact,
    'compact/gzip': gzipSync(compact)
  };
}

/** The bytes of a snapshot after a change. */
async function edited(snapshot, change) {
  const directory = await mkdtemp(join(tmpdir(), 'seedbed-rendition-'));
  try {
    const path = join(directory, 'snapshot.db');
    await copyFile(snapshot, path);
    const db = new DatabaseSync(path);
    change(db);
    db.exec('VACUUM');
    db.close();
    return await readFile(path);
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** Leaves what a device cannot make by itself. */
function makeCompact(db) {
  const all = db.prepare("SELECT type, name FROM sqlite_schema WHERE type IN ('view', 'trigger', 'table')").all();
  for (const { type, name } of all) {
    if (type === 'view') db.exec(`DROP VIEW "${name}"`);
    if (type === 'table' && name.startsWith('ps_data__')) db.exec(`DROP TABLE "${name}"`);
  }
  for (const index of ['ps_oplog_row', 'ps_oplog_opid', 'ps_oplog_key']) db.exec(`DROP INDEX ${index}`);
  db.exec('DELETE FROM ps_untyped; DELETE FROM ps_sync_state; ALTER TABLE ps_oplog RENAME TO seedbed_oplog');
}
