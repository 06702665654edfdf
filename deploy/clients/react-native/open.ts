/** A launch on React Native, whatever has the files. */

import { LogLevels, PowerSyncDatabase } from '@powersync/react-native';
import { openAfter, type Files, type Platform, type SeedbedError, type SnapshotSource } from 'seedbed-client-core';
import { keyed, sealedBy } from './cipher.ts';
import { openBare, pathOfDatabase } from './location.ts';
import type { DatabaseOptions, Unpacking } from './options.ts';

/** Also in package.json: a test compares them. */
const VERSION = '0.3.0';

/** What Expo's modules, or others, bring. */
export interface Parts {
  files: Files;
  fetch: typeof globalThis.fetch;
  chunk?: number;
}

export async function openWith(
  parts: Parts,
  options: DatabaseOptions,
  { gunzip, ...source }: SnapshotSource & Unpacking
): Promise<PowerSyncDatabase> {
  const { schema } = options;
  const { encryption } = source;
  const database = encryption ? keyed(options.database, encryption.key) : options.database;
  const platform: Platform = {
    ...parts,
    name: 'react-native',
    version: VERSION,
    openSqlite: (path) => openBare(path, database),
    encodings: gunzip ? ['gzip', 'identity'] : ['identity'],
    encrypted: Boolean(database.sqliteOptions?.encryptionKey),
    sealed: encryption && sealedBy(database, encryption),
    schema: () => JSON.stringify(schema.toJSON())
  };
  const warn = (db: PowerSyncDatabase, error: SeedbedError) =>
    db.logger.log({ level: LogLevels.warn, message: 'starting without a snapshot', error });
  return openAfter(platform, await pathOfDatabase(database, parts.files), source, () => open({ ...options, database }), warn);
}

/** Opens what is there, or an empty database. */
async function open(options: DatabaseOptions): Promise<PowerSyncDatabase> {
  const db = new PowerSyncDatabase(options);
  try {
    await db.init();
    return db;
  } catch (error) {
    await db.close().catch(() => {});
    throw error;
  }
}
