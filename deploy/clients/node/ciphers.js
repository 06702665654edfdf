/** Keys of databases, for `better-sqlite3-multiple-ciphers` (SQLite3MultipleCiphers) in a worker of the app's. */

import { Worker } from 'node:worker_threads';

/** @typedef {import('@powersync/node').NodeSQLOpenOptions} OpenOptions */
/** @typedef {import('seedbed-client-core').Connection} Connection */
/** @typedef {(sql: string) => Promise<any[]>} Run Returns the rows. */

/** What comes before a key, by what the file is encrypted with. */
const CIPHERS = {
  chacha20: ["PRAGMA cipher = 'chacha20'"],
  sqlcipher4: ["PRAGMA cipher = 'sqlcipher'", 'PRAGMA legacy = 4']
};

/** How a key of 32 bytes, in hex, is written where a passphrase may stand. */
const RAW = {
  chacha20: (/** @type {string} */ hex) => `raw:${hex}`,
  sqlcipher4: (/** @type {string} */ hex) => `x'${hex}'`
};

/** How an app's databases are encrypted, and how sealed files are opened. */
export class Ciphers {
  /** @param {import('seedbed-client-core').Encryption} encryption */
  constructor({ key, format = 'chacha20' }) {
    this.key = key;
    /** @type {import('seedbed-client-core').Cipher} */
    this.format = format;
  }

  /**
   * The options of the app's database, whose connections begin with the key: in the worker (`worker.js`), and once more by the SDK.
   *
   * @param {OpenOptions} database
   * @returns {OpenOptions}
   */
  keyed(database) {
    const open = database.openWorker ?? ((url, options) => new Worker(url, options));
    const workerData = { seedbedKey: this.statements(this.key) };
    return {
      ...database,
      openWorker: (url, options) => open(url, /** @type {any} */ ({ ...options, workerData })),
      initializeConnection: async (connection, isWriter) => {
        await this.unlock((sql) => connection.getAll(sql), this.key);
        await database.initializeConnection?.(connection, isWriter);
      }
    };
  }

  /**
   * The same for a sealed file, by the key that came with it. Nothing of the app's is done with it.
   *
   * @param {OpenOptions} database
   * @param {string} key 32 bytes in hex.
   * @returns {OpenOptions}
   */
  sealed(database, key) {
    const initializeConnection = (/** @type {any} */ connection) =>
      this.unlock((sql) => connection.getAll(sql), RAW[this.format](key));
    return { ...database, initializeConnection };
  }

  /** @param {string} key */
  statements(key) {
    return [...CIPHERS[this.format], `PRAGMA key = ${quoted(key)}`];
  }

  /** @param {Connection} connection */
  async rekey(connection) {
    await connection.query(`PRAGMA rekey = ${quoted(this.key)}`);
  }

  /**
   * @param {Run} run
   * @param {string} key
   */
  async unlock(run, key) {
    // Nothing is read before the key is there: the schema alone would do.
    const [cipher, ...more] = this.statements(key);
    if ((await run(cipher)).length === 0) {
      // Any other SQLite takes a key for a setting that it does not know, and writes plain text.
      throw new Error('this SQLite encrypts nothing: have openWorker start a worker with better-sqlite3-multiple-ciphers');
    }
    for (const statement of more) await run(statement);
  }
}

/** @param {string} text */
function quoted(text) {
  return `'${text.replaceAll("'", "''")}'`;
}
