/**
 * Opens a PowerSync database that starts from a Seedbed snapshot instead of an initial sync.
 *
 * ```text
 * is a file there? ── yes ──────────────────────────────────────────────────┐
 *   │ no                                                                     ▼
 *   └▶ GET /database ▶ download ▶ check bytes, sha256 ▶ move into place ▶ init() ▶ client_id ▶ (connect)
 *        └───────────────┴─ on any failure: remove it, open an empty database ────────┘
 * ```
 */

import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { LogLevels, PowerSyncDatabase } from '@powersync/node';
import { installSnapshot, removeDatabase } from './snapshot.js';

/**
 * @typedef {import('@powersync/node').NodePowerSyncDatabaseOptions & {
 *   database: import('@powersync/node').NodeSQLOpenOptions
 * }} DatabaseOptions
 * What `new PowerSyncDatabase(…)` takes, with the database as options. The file's name should say which store it is of:
 * a file that is there is used as it is.
 */

/**
 * Opens the database, after installing the store's snapshot if there is no file yet. The database is ready to read, and
 * not connected: `db.connect(connector)` then downloads what has changed since the snapshot. Without a snapshot,
 * for any reason, the database is empty and `connect` does the normal initial sync; the reason is logged.
 *
 * One call at a time for a file: PowerSync wants one database object for it anyway.
 *
 * @param {DatabaseOptions} options
 * @param {import('./snapshot.js').SnapshotSource} source
 * @returns {Promise<PowerSyncDatabase>}
 * @throws When the SDK cannot open the database, with or without a snapshot.
 */
export async function openSeeded(options, source) {
  const file = join(options.database.dbLocation ?? '', options.database.dbFilename);
  let installed = false;
  let failure;
  try {
    installed = await installSnapshot(file, source);
  } catch (error) {
    failure = error;
  }
  let db;
  try {
    db = await open(options);
  } catch (error) {
    // A file that was there before may hold what its user has written. One that was installed just now does not.
    if (!installed) throw error;
    failure = error;
    await removeDatabase(file);
    db = await open(options);
  }
  if (failure) db.logger.log({ level: LogLevels.warn, message: 'starting without a snapshot', error: failure });
  return db;
}

/**
 * Opens what is there, or an empty database.
 *
 * @param {DatabaseOptions} options
 */
async function open(options) {
  /** @type {Worker[]} */
  const workers = [];
  const db = new PowerSyncDatabase({
    ...options,
    database: {
      ...options.database,
      openWorker: (...args) => {
        const worker = options.database.openWorker?.(...args) ?? new Worker(...args);
        workers.push(worker);
        return worker;
      }
    }
  });
  try {
    await db.init();
    await db.execute(INSERT_CLIENT_ID);
    return db;
  } catch (error) {
    // `close` waits for an initialization that has failed. Its threads would hold the file and the process.
    await Promise.all(workers.map((worker) => worker.terminate()));
    throw error;
  }
}

/**
 * A snapshot has no `client_id`, and two clients must never share one: the service tells clients apart by it. The core
 * extension inserts one when it creates `ps_kv`, just so, and never again (`migrations.rs`, version 3, in
 * powersync-sqlite-core 0.5.4). A snapshot has its `ps_kv`, so `init()` gives it none, and every connection would fail
 * with "No client_id found in ps_kv" (`kv.rs`). This runs at every start: it does nothing where there is one, and makes
 * up for a process that was killed after it had installed the file.
 */
const INSERT_CLIENT_ID = "INSERT OR IGNORE INTO ps_kv (key, value) VALUES ('client_id', uuid())";
