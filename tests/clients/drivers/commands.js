/** What the drivers in JavaScript have in common: the app, and what it does when it is told. */

import { orders, products } from '../schema.js';

/** The app's schema, by the classes of a platform's SDK. */
export function schemaOf({ Schema, Table, column }) {
  const table = (columns, options) => new Table(Object.fromEntries(columns.map(([name, type]) => [name, column[type]])), options);
  return new Schema({
    products: table(products),
    orders: table(orders),
    drafts: table([['text', 'text']], { localOnly: true })
  });
}

/** Seen when a test fails. */
export const logger = { log: ({ level, message, error }) => level >= 40 && console.error(message, `${error ?? ''}`) };

/**
 * @param {object} about What `hello` says.
 * @param {(directory: string, source: object) => Promise<any>} open Opens `app.db` in the directory by the package.
 * @param {(connector: object, source: object) => object} seededConnector The package's.
 * @param {(line: object) => void} say
 * @returns What answers a command, whatever comes of it.
 */
export function app(about, open, seededConnector, say) {
  let db;
  let launch;
  let subscription;
  let choices = [];

  /** What the snapshot has been subscribed to. */
  const subscribeTo = async (db) => {
    subscription = await db.syncStream('orders_by_status', { status: 'open' }).subscribe();
  };

  const commands = {
    hello: async () => about,

    async open({ directory, token, progress, subscribe, ...source }) {
      launch = new AbortController();
      let outcome;
      const whole = {
        ...source,
        getToken: async () => token,
        subscribe: subscribe && subscribeTo,
        signal: launch.signal,
        onProgress: progress ? (now) => say({ progress: now }) : undefined,
        onOutcome: (it) => (outcome = it)
      };
      db = await open(directory, whole).catch((error) => {
        error.outcome = outcome;
        throw error;
      });
      return { outcome };
    },

    cancel: async () => launch.abort(),

    query: async ({ sql, parameters = [] }) => ({ rows: await db.getAll(sql, parameters) }),

    execute: async ({ sql, parameters = [] }) => {
      await db.execute(sql, parameters);
    },

    status: async () => ({ hasSynced: db.currentStatus.hasSynced === true }),

    async connect({ endpoint, token, seeded, wait = true, uploads = false, ...options }) {
      const before = db.currentStatus.lastSyncedAt?.getTime() ?? 0;
      await subscribeTo(db);
      const own = {
        fetchCredentials: async () => ({ endpoint, token }),
        uploadData: async (db) => {
          if (uploads) for (let it = await db.getNextCrudTransaction(); it; it = await db.getNextCrudTransaction()) await it.complete();
        }
      };
      choices = [];
      const onChoice = ({ endpoint, reason }) => choices.push(`${endpoint}: ${reason}`);
      const getToken = seeded?.token && (async () => seeded.token);
      const connector = seeded ? seededConnector(own, { ...seeded, getToken, database: db, onChoice }) : own;
      await db.connect(connector, { ...(seeded ? { connectionMethod: 'http' } : {}), ...options });
      if (wait) await db.waitForStatus(({ lastSyncedAt }) => (lastSyncedAt?.getTime() ?? 0) > before);
    },

    disconnect: async () => db.disconnect(),

    choices: async () => ({ choices }),

    clear: async ({ soft }) => db.disconnectAndClear({ clearLocal: true, soft }),

    async close() {
      subscription?.unsubscribe();
      subscription = undefined;
      await db.close();
      db = undefined;
    }
  };

  return async ({ id, do: what, ...rest }) => {
    try {
      return { id, ok: true, ...(await commands[what](rest)) };
    } catch (error) {
      return { id, ok: false, code: error.code ?? null, message: String(error.message ?? error), outcome: error.outcome };
    }
  };
}
