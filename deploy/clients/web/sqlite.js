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

/**
 * Whether reading connections learn of what was written by messages, some time later: until then they see the database as it was
 * before, without its tables if it is new (`isolateForRead` in `WriteAhead.js` of @journeyapps/wa-sqlite 2.0.5).
 *
 * @param {OpenOptions} options
 */
export function isBehind({ vfs }) {
  return vfs === WASQLiteVFS.OPFSWriteAheadVFS;
}

/** What a launch and the SDK write last, when they open a database and when a first sync has completed. */
const LAST = `SELECT (SELECT schema_version FROM pragma_schema_version) || (SELECT json_group_array(value) FROM ps_kv)
  || (SELECT json_group_array(last_synced_at) FROM ps_sync_state)`;

/** Milliseconds between two looks, and for all of them: a message that was lost is made up for after half a minute. */
const AGAIN = 5;
const PATIENCE = 30_000;

/** @param {import('@powersync/web').LockContext} connection */
async function lastIn(connection) {
  try {
    return (await connection.executeRaw(LAST)).rawRows[0][0];
  } catch {
    // It does not even know of the tables.
    return undefined;
  }
}

/**
 * Waits until the reading connections see what the writing one has written.
 *
 * @param {import('@powersync/web').PowerSyncDatabase} db
 * @param {OpenOptions} options
 */
export async function catchUp(db, { additionalReaders = 1 }) {
  const until = Date.now() + PATIENCE;
  // While the writing connection is taken, each of these gets a reading one of its own.
  await db.writeLock(async (writer) => {
    const last = await lastIn(writer);
    let left = additionalReaders;
    /** @type {() => void} */
    let free = () => {};
    const all = new Promise((resolve) => (free = () => resolve(undefined)));
    const reading = () =>
      db.readLock(async (reader) => {
        while (Date.now() < until && (await lastIn(reader)) !== last) {
          await new Promise((resolve) => setTimeout(resolve, AGAIN));
        }
        if (--left === 0) free();
        // Else one would be asked twice.
        await all;
      });
    await Promise.all(Array.from({ length: additionalReaders }, reading));
  });
}
