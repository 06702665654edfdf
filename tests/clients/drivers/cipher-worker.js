/** The SDK's worker with a SQLite that encrypts, as its documentation has it. */

import Database from 'better-sqlite3-multiple-ciphers';
import { startPowerSyncWorker } from '@powersync/node/worker.js';

startPowerSyncWorker({ loadBetterSqlite3: async () => Database });
