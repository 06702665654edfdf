/** The package for Node as the suite drives it. */

import * as sdk from '@powersync/node';
import { openSeeded, seededConnector } from '../../../deploy/clients/node/index.js';
import { logger, run, schemaOf } from './app.js';

const schema = schemaOf(sdk);

const about = { platform: 'node', forms: ['file', 'compact'], encodings: ['zstd', 'gzip', 'identity'], softClear: true, keys: true };

run(about, (dbLocation, { key, ...source }) => {
  const database = { dbFilename: 'app.db', dbLocation, implementation: { type: 'node:sqlite' }, readWorkerCount: 1 };
  // This SQLite has no ciphers, and ignores it.
  if (key) database.initializeConnection = (connection) => connection.execute(`PRAGMA key = '${key}'`);
  return openSeeded({ schema, database, logger }, source);
}, seededConnector);
