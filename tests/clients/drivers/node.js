/** The package for Node as the suite drives it: `node.js`, or `node.js CIPHER` for an app whose database has a key. */

import { Worker } from 'node:worker_threads';
import * as sdk from '@powersync/node';
import { openSeeded, seededConnector } from '../../../deploy/clients/node/index.js';
import { logger, run, schemaOf } from './app.js';

const [cipher] = process.argv.slice(2);
const schema = schemaOf(sdk);

const about = { platform: 'node', forms: ['file', 'compact'], encodings: ['zstd', 'gzip', 'identity'], softClear: true, keys: true, cipher };

/** The SDK's own worker, with another SQLite. */
const openWorker = (_, options) => new Worker(new URL('./cipher-worker.js', import.meta.url), options);

run(about, (dbLocation, { key, ...source }) => {
  const database = { dbFilename: 'app.db', dbLocation, readWorkerCount: 1 };
  if (cipher) {
    const encryption = { key: key ?? "the app's key", format: cipher };
    return openSeeded({ schema, database: { ...database, openWorker }, logger }, { ...source, encryption });
  }
  database.implementation = { type: 'node:sqlite' };
  // This SQLite has no ciphers, and ignores it.
  if (key) database.initializeConnection = (connection) => connection.execute(`PRAGMA key = '${key}'`);
  return openSeeded({ schema, database, logger }, source);
}, seededConnector);
