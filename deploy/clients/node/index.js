/** Opens a PowerSync database that starts from a Seedbed snapshot instead of an initial sync: see README.md. */

import { join, resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { LogLevels, PowerSyncDatabase } from '@powersync/node';
import { SeedbedError, openAfter, seededConnector } from 'seedbed-client-core';
import { Ciphers } from './ciphers.js';
import { encodings, nodeFiles } from './files.js';
import { fetchStored } from './request.js';
import { SqliteThread } from './sqlite.js';

export { SeedbedError, seededConnector };

/**
 * @typedef {import('@powersync/node').NodePowerSyncDatabaseOptions & {
 *   database: import('@powersync/node').NodeSQLOpenOptions
 * }} DatabaseOptions
 * What `new PowerSyncDatabase(…)` takes, with the database as options. Each store and account needs a file of its own.
 */

/** @typedef {import('seedbed-client-core').SnapshotSource} SnapshotSource */

/** Also in package.json: a test compares them. */
const VERSION = '0.3.0';

/**
 * Opens the database, after installing the store's snapshot if there is none yet, or one that never completed a sync and
 * has nothing of its own. The database is ready to read, and not connected: `db.connect(connector)` then downloads what
 * has changed since the snapshot. Without a snapshot, for any reason, the database is empty and `connect` does the normal
 * initial sync; the reason is logged (`whenUnavailable` says otherwise).
 *
 * @param {DatabaseOptions} options
 * @param {SnapshotSource} source
 * @returns {Promise<PowerSyncDatabase>}
 * @throws {SeedbedError} As `whenUnavailable` says; if the launch is cancelled; if the database is another store's.
 * @throws What the SDK throws, when it cannot open the database, with or without a snapshot.
 */
export async function openSeeded(options, source) {
  const ciphers = source.encryption && new Ciphers(source.encryption);
  const database = ciphers?.keyed(options.database) ?? options.database;
  const file = resolve(join(database.dbLocation ?? '', database.dbFilename));
  // Its worker has no key of its own: it opens sealed files too.
  const sqlite = new SqliteThread({ ...database, openWorker: options.database.openWorker });
  /** @type {import('seedbed-client-core').Platform} */
  const platform = {
    name: 'node',
    version: VERSION,
    files: nodeFiles,
    openSqlite: (path) => sqlite.open(path),
    fetch: fetchStored,
    encodings,
    // The SDK's way to set a key. Whatever else it does, no row is written in plain text then.
    encrypted: database.initializeConnection !== undefined,
    sealed: ciphers && {
      format: ciphers.format,
      open: (path, key) => sqlite.open(path, ciphers.sealed(database, key)),
      rekey: (connection) => ciphers.rekey(connection)
    },
    schema: () => JSON.stringify(options.schema.toJSON())
  };
  const warn = (/** @type {PowerSyncDatabase} */ db, /** @type {SeedbedError} */ error) =>
    db.logger.log({ level: LogLevels.warn, message: 'starting without a snapshot', error });
  try {
    return await openAfter(platform, file, source, () => open({ ...options, database }, ciphers ? undefined : sqlite), warn);
  } finally {
    await sqlite.close();
  }
}

/**
 * Opens what is there, or an empty database.
 *
 * @param {DatabaseOptions} options
 * @param {SqliteThread | undefined} thread That of the launch, for the SDK's first connection.
 * @returns {Promise<PowerSyncDatabase>}
 */
async function open(options, thread) {
  /** @type {Worker[]} */
  const workers = [];
  const db = new PowerSyncDatabase({
    ...options,
    database: {
      ...options.database,
      openWorker: (...args) => {
        const worker = thread?.handOver() ?? options.database.openWorker?.(...args) ?? new Worker(...args);
        workers.push(worker);
        return worker;
      }
    }
  });
  try {
    await db.init();
    return db;
  } catch (error) {
    // `close` waits for an initialization that has failed. Its threads would hold the file and the process.
    await Promise.all(workers.map((worker) => worker.terminate()));
    throw error;
  }
}
