/**
 * For the worker of an app whose database has a key. The SDK (1.1.0) reads the database before `initializeConnection` may give
 * it the key, and fails at every database that is already there.
 *
 * ```js
 * import Database from 'better-sqlite3-multiple-ciphers';
 * import { startPowerSyncWorker } from '@powersync/node/worker.js';
 * import { keyed } from 'seedbed-client-node/worker.js';
 *
 * startPowerSyncWorker({ loadBetterSqlite3: async () => keyed(Database) });
 * ```
 */

import { workerData } from 'node:worker_threads';

/**
 * Returns the same class, whose databases begin with the key that `openSeeded` has given to the worker.
 *
 * @template {new (...args: any[]) => any} D
 * @param {D} Database
 * @returns {D}
 */
export function keyed(Database) {
  /** @type {string[]} */
  const statements = workerData?.seedbedKey ?? [];
  return class extends Database {
    /** @param {any[]} args */
    constructor(...args) {
      super(...args);
      if (args[0] !== ':memory:') for (const statement of statements) this.exec(statement);
    }
  };
}
