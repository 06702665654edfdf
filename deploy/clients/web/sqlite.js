/** Bare connections to databases: by the SDK's own worker and SQLite, without its sync. */

import { WASQLiteOpenFactory, WASQLiteVFS } from '@powersync/web';

/** @typedef {import('@powersync/web').WebSQLOpenOptions} OpenOptions */

/**
 * @param {OpenOptions} options The app's: where its worker is, and the key.
 * @param {import('@powersync/web').PowerSyncLogger} logger
 * @param {WASQLiteVFS | undefined} vfs
 * @param {string} dbFilename
 * @returns {Promise<import('seedbed-client-core').Connection>}
 */
export async function openBare(options, logger, vfs, dbFilename) {
  const adapter = new WASQLiteOpenFactory({ open: { ...options, dbFilename, vfs, additionalReaders: 0 }, logger }).openDB();
  /** @type {(connection: import('seedbed-client-core').Connection) => void} */
  let opened;
  /** @type {(error: unknown) => void} */
  let failed;
  const connection = new Promise((resolve, reject) => {
    opened = resolve;
    failed = reject;
  });
  // All statements of a connection are in one lease: a transaction goes over several of them.
  const lease = adapter.writeLock(
    (context) =>
      new Promise((end) => {
        opened({
          query: async (sql, parameters = []) => /** @type {any} */ ((await context.executeRaw(sql, parameters)).rawRows),
          close: async () => {
            end(undefined);
            await lease.catch(() => {});
            await adapter.close();
          }
        });
      })
  );
  lease.catch(async (error) => {
    await Promise.resolve(adapter.close()).catch(() => {});
    failed(error);
  });
  return connection;
}

/** Where a database is one plain file with the name of the database, which can be made by somebody else. */
const PLAIN = new Set([WASQLiteVFS.OPFSCoopSyncVFS, WASQLiteVFS.OPFSWriteAheadVFS]);

/** @param {OpenOptions} options */
export function isPlain({ vfs, encryptionKey }) {
  return vfs !== undefined && PLAIN.has(vfs) && !encryptionKey;
}
