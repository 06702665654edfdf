/** Opens a PowerSync database in the browser that starts from a Seedbed snapshot instead of an initial sync: see README.md. */

import { LogLevels, PowerSyncDatabase, WASQLiteVFS, createConsoleLogger } from '@powersync/web';
import { SeedbedError, openAfter, seededConnector } from 'seedbed-client-core';
import { takeLaunch, takeOpen, whileClosed } from './locks.js';
import { opfsFiles } from './opfs.js';
import { catchUp, isBehind, isPlain, openBare } from './sqlite.js';

export { SeedbedError, seededConnector };

/**
 * @typedef {import('@powersync/web').WebPowerSyncDatabaseOptions & {
 *   database: import('@powersync/web').WebSQLOpenOptions
 * }} DatabaseOptions
 * What `new PowerSyncDatabase(…)` takes, with the database as options. Each store and account needs a name of its own.
 */

/** @typedef {import('seedbed-client-core').SnapshotSource} SnapshotSource */

/** Also in package.json: a test compares them. */
const VERSION = '0.3.0';

/**
 * Opens the database, after its first sync from Seedbed if it never completed one and has nothing of its own. The database is
 * ready to read, and not connected: `db.connect(connector)` then downloads what has changed since the snapshot. Without a
 * snapshot, for any reason, the database is empty and `connect` does the normal initial sync; the reason is logged
 * (`whenUnavailable` says otherwise).
 *
 * The form is `stream` by default. `file` and `compact` need one of the virtual file systems with plain files in OPFS
 * (`OPFSCoopSyncVFS`, `OPFSWriteAheadVFS`) and no `encryptionKey`; with any other, they are `stream` as well.
 *
 * @param {DatabaseOptions} options
 * @param {SnapshotSource} source
 * @returns {Promise<PowerSyncDatabase>}
 * @throws {SeedbedError} As `whenUnavailable` says; if the launch is cancelled; if the database is another store's.
 * @throws What the SDK throws, when it cannot open the database, with or without a snapshot.
 */
export async function openSeeded(options, source) {
  const { database, schema } = options;
  const logger = options.logger ?? createConsoleLogger({ minLevel: LogLevels.warn });
  const plain = isPlain(database);
  const { files, end } = opfsFiles();
  const path = database.dbFilename;
  const isBeside = (/** @type {string} */ name) => name !== path;
  /** @type {import('seedbed-client-core').Platform} */
  const platform = {
    name: 'web',
    version: VERSION,
    // Elsewhere the database is no file, and opening is the way to find out.
    files: plain ? files : { ...files, size: async () => 0 },
    // A launch's own files have their whole content in one file, and no write-ahead log of the app's virtual file system.
    openSqlite: (name) => openBare(database, logger, plain && isBeside(name) ? WASQLiteVFS.OPFSCoopSyncVFS : database.vfs, name),
    fetch: (...args) => fetch(...args),
    decodes: true,
    encodings: ['gzip', 'identity'],
    encrypted: Boolean(database.encryptionKey),
    schema: () => JSON.stringify(schema.toJSON()),
    lock: async (_, signal) => {
      const free = await takeLaunch(path, signal);
      return { core: await coreVersion(platform), release: async () => free() };
    },
    alone: (name, work) => whileClosed(name, work),
    settled: isBehind(database) ? (db) => catchUp(db, database) : undefined
  };
  const form = plain ? (source.form ?? 'stream') : 'stream';
  const warn = (/** @type {PowerSyncDatabase} */ db, /** @type {SeedbedError} */ error) =>
    db.logger.log({ level: LogLevels.warn, message: 'starting without a snapshot', error });
  try {
    return await openAfter(platform, path, { ...source, form }, () => open(options), warn);
  } finally {
    end();
  }
}

/**
 * Opens what is there, or an empty database.
 *
 * @param {DatabaseOptions} options
 * @returns {Promise<PowerSyncDatabase>}
 */
async function open(options) {
  try {
    return await openOnce(options);
  } catch (error) {
    // The SDK has read by one connection what it had just made by another, which did not know of it yet. New ones do.
    if (isBehind(options.database)) return openOnce(options);
    throw error;
  }
}

/**
 * Says so to other tabs.
 *
 * @param {DatabaseOptions} options
 * @returns {Promise<PowerSyncDatabase>}
 */
async function openOnce(options) {
  const free = await takeOpen(options.database.dbFilename);
  const db = new PowerSyncDatabase(options);
  db.registerListener({ closed: free });
  try {
    await db.init();
    return db;
  } catch (error) {
    free();
    // The database itself closes only what was opened as a whole.
    await Promise.resolve(db.database.close()).catch(() => {});
    throw error;
  }
}

/** @param {import('seedbed-client-core').Platform} platform */
async function coreVersion(platform) {
  const connection = await platform.openSqlite(':memory:');
  try {
    const [[version]] = await connection.query('SELECT powersync_rs_version()');
    return String(version).split('/')[0];
  } finally {
    await connection.close();
  }
}
