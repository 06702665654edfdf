/** The package for Node as the suite drives it: commands on standard input, answers on standard output, a line each. */

import { createInterface } from 'node:readline';
import { Schema, Table, column } from '@powersync/node';
import { openSeeded } from '../../../deploy/clients/node/index.js';
import { products, orders } from '../schema.js';

const table = (columns, options) => new Table(Object.fromEntries(columns.map(([name, type]) => [name, column[type]])), options);

const schema = new Schema({
  products: table(products),
  orders: table(orders),
  drafts: table([['text', 'text']], { localOnly: true })
});

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

let db;
let launch;
let subscription;

const commands = {
  hello: async () => ({ platform: 'node', forms: ['file', 'compact'], encodings: ['gzip', 'identity'] }),

  async open({ directory, token, progress, ...source }) {
    launch = new AbortController();
    let outcome;
    db = await openSeeded(
      {
        schema,
        database: {
          dbFilename: 'app.db',
          dbLocation: directory,
          implementation: { type: 'node:sqlite' },
          readWorkerCount: 1
        },
        // Seen when a test fails.
        logger: { log: ({ level, message, error }) => level >= 40 && console.error(message, `${error ?? ''}`) }
      },
      {
        ...source,
        getToken: async () => token,
        signal: launch.signal,
        onProgress: progress ? (now) => say({ progress: now }) : undefined,
        onOutcome: (it) => (outcome = it)
      }
    ).catch((error) => {
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

  async connect({ endpoint, token }) {
    const before = db.currentStatus.lastSyncedAt?.getTime() ?? 0;
    subscription = await db.syncStream('orders_by_status', { status: 'open' }).subscribe();
    await db.connect({ fetchCredentials: async () => ({ endpoint, token }), uploadData: async () => {} });
    await db.waitForStatus(({ lastSyncedAt }) => (lastSyncedAt?.getTime() ?? 0) > before);
  },

  clear: async ({ soft }) => db.disconnectAndClear({ clearLocal: true, soft }),

  async close() {
    subscription?.unsubscribe();
    subscription = undefined;
    await db.close();
    db = undefined;
  }
};

// Not one after the other: `cancel` comes while `open` is at work.
createInterface({ input: process.stdin }).on('line', async (line) => {
  const { id, do: what, ...rest } = JSON.parse(line);
  try {
    say({ id, ok: true, ...(await commands[what](rest)) });
  } catch (error) {
    say({ id, ok: false, code: error.code ?? null, message: String(error.message ?? error), outcome: error.outcome });
  }
}).on('close', () => process.exit());
