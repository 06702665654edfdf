/** The SDK's worker with a SQLite that encrypts. */

import Database from 'better-sqlite3-multiple-ciphers';
import { startPowerSyncWorker } from '@powersync/node/worker.js';
import { keyed } from '../../../deploy/clients/node/worker.js';

startPowerSyncWorker({ loadBetterSqlite3: async () => keyed(Database) });
