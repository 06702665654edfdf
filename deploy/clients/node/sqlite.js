/**
 * Bare connections to databases, in a thread of the SDK's own kind: the same SQLite library as the app's connections, so
 * that they see each other's locks; the core extension; and the app's key.
 */

import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { LockContext } from '@powersync/node';

/** @typedef {import('@powersync/node').NodeSQLOpenOptions} OpenOptions */

/** What the SDK uses unless the app says otherwise. */
const DEFAULT = /** @type {const} */ ({ type: 'better-sqlite3' });

/** The thread starts with the first connection. */
export class SqliteThread {
  /** @param {OpenOptions} options */
  constructor(options) {
    this.options = options;
    /** @type {{ worker: Worker, opener: any, exited: Promise<void> } | undefined} */
    this.started = undefined;
  }

  /**
   * @param {string} path
   * @param {OpenOptions} [options] Those of the app by default.
   * @returns {Promise<import('seedbed-client-core').Connection>}
   */
  async open(path, { implementation = DEFAULT, initializeConnection } = this.options) {
    this.started ??= this.start();
    const { opener, exited } = this.started;
    const database = await opener.open({ path, isWriter: true, implementation });
    const connection = {
      query: async (/** @type {string} */ sql, /** @type {any[]} */ parameters = []) =>
        (await database.executeRaw(sql, parameters)).rawRows,
      // A thread that has ended does not answer.
      close: () => Promise.race([database.close(), exited])
    };
    try {
      // What is in memory alone has no key, and can have none.
      if (path !== ':memory:') await initializeConnection?.(new Bare(database), true);
      // better-sqlite3 would wait for 5 seconds, and with it every other connection of this thread.
      await connection.query('PRAGMA busy_timeout = 0');
    } catch (error) {
      await connection.close();
      throw error;
    }
    return connection;
  }

  /**
   * Gives the thread away, with the connections that are open: the SDK needs one of the same kind, and to start one takes longer than
   * a small snapshot.
   *
   * @returns {Worker | undefined} The same only once.
   */
  handOver() {
    const worker = this.started?.worker;
    this.started = undefined;
    return worker;
  }

  /** Ends the thread, and with it every connection. */
  async close() {
    await this.started?.worker.terminate();
    this.started = undefined;
  }

  start() {
    // Both as the SDK's `WorkerConnectionPool` has them (@powersync/node 1.1.0): its worker speaks Comlink.
    const sdk = import.meta.resolve('@powersync/node');
    const { wrap } = createRequire(sdk)('comlink');
    const open = this.options.openWorker ?? ((...args) => new Worker(...args));
    const worker = open(new URL('./db/DefaultWorker.js', sdk), { name: 'seedbed' });
    /** @type {Promise<void>} */
    const exited = new Promise((resolve) => worker.once('exit', () => resolve()));
    return { worker, opener: wrap(endpoint(worker)), exited };
  }
}

/** A connection as `initializeConnection` gets it from the SDK. */
class Bare extends LockContext {
  /** @param {any} database */
  constructor(database) {
    super();
    this.database = database;
  }

  /**
   * @param {string} query
   * @param {any[]} [parameters]
   */
  async executeRaw(query, parameters = []) {
    return this.database.executeRaw(query, parameters);
  }
}

/**
 * A worker as Comlink wants it: with events that have `data`.
 *
 * @param {Worker} worker
 */
function endpoint(worker) {
  const listeners = new WeakMap();
  return {
    postMessage: worker.postMessage.bind(worker),
    addEventListener: (/** @type {string} */ type, /** @type {any} */ listener) => {
      const handle = listener.handleEvent?.bind(listener) ?? listener;
      const own = (/** @type {any} */ data) => handle({ data });
      listeners.set(listener, own);
      worker.on(type, own);
    },
    removeEventListener: (/** @type {string} */ type, /** @type {any} */ listener) => {
      worker.off(type, listeners.get(listener));
    }
  };
}
