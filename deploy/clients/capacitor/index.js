/** Opens a PowerSync database in a Capacitor app that takes its first sync from a Seedbed snapshot: see README.md. */

import { Capacitor } from '@capacitor/core';
import { PowerSyncDatabase } from '@powersync/capacitor';
import { LogLevels } from '@powersync/web';
import { SeedbedError, openAfter, seededConnector } from 'seedbed-client-core';

export { SeedbedError, seededConnector };

/** @typedef {import('seedbed-client-web').DatabaseOptions} DatabaseOptions */
/** @typedef {import('seedbed-client-core').SnapshotSource} SnapshotSource */

/** Also in package.json: a test compares them. */
const VERSION = '0.3.0';

/**
 * Opens the database, after its first sync from Seedbed if it never completed one and has nothing of its own. The database is
 * ready to read, and not connected. Without a snapshot, for any reason, it is empty and `connect` does the normal initial sync
 * (`whenUnavailable` says otherwise).
 *
 * In a native app the form is always `stream`. In a browser, everything is as in the package for the web.
 *
 * @param {DatabaseOptions} options
 * @param {SnapshotSource} source
 * @returns {Promise<PowerSyncDatabase>}
 * @throws {SeedbedError} As `whenUnavailable` says; if the launch is cancelled; if the database is another store's.
 */
export async function openSeeded(options, source) {
  if (!Capacitor.isNativePlatform()) return (await import('seedbed-client-web')).openSeeded(options, source);
  const missing = async () => {
    throw new Error('a Capacitor app has the database by its SDK alone');
  };
  /** @type {import('seedbed-client-core').Platform} */
  const platform = {
    name: 'capacitor',
    version: VERSION,
    files: /** @type {any} */ ({}),
    openSqlite: missing,
    bare: false,
    fetch: (...args) => fetch(...args),
    encodings: ['identity'],
    schema: () => JSON.stringify(options.schema.toJSON())
  };
  const warn = (/** @type {PowerSyncDatabase} */ db, /** @type {SeedbedError} */ error) =>
    db.logger.log({ level: LogLevels.warn, message: 'starting without a snapshot', error });
  return openAfter(platform, options.database.dbFilename, { ...source, form: 'stream' }, () => open(options), warn);
}

/**
 * @param {DatabaseOptions} options
 * @returns {Promise<PowerSyncDatabase>}
 */
async function open(options) {
  const db = new PowerSyncDatabase(options);
  try {
    await db.init();
    return db;
  } catch (error) {
    await db.close().catch(() => {});
    throw error;
  }
}
