/** Where the SDK opens its database, and connections to it that are not the SDK's. */

import { getDylibPath, open, type DB } from '@op-engineering/op-sqlite';
import { NativeModules, Platform } from 'react-native';
import type { Connection, Files } from 'seedbed-client-core';
import type { OpenOptions } from './options.ts';

/** The SDK's module for databases of its older versions, which lie elsewhere (@powersync/react-native 2.1.0, `OPSqliteAdapter`). */
interface Helper {
  resolveDefaultDatabaseLocation(name: string): string | null;
}

/**
 * Returns the path of the database, as the SDK and op-sqlite make it: `dbLocation`; or the app's files, if an older SDK put
 * one there (Android); or what op-sqlite has by itself: `databases/` on Android, `Library/` or the app group on iOS.
 */
export async function pathOfDatabase(options: OpenOptions, files: Files): Promise<string> {
  const { dbFilename } = options;
  const location = locationOf(options);
  // Only op-sqlite knows where it is at home, and says so of an open database: one that has nothing in it.
  const name = `${dbFilename}.seedbed.where`;
  const probe = open(location === undefined ? { name } : { name, location });
  const path = probe.getDbPath();
  probe.close();
  // Another launch may have removed it.
  await files.remove(path).catch(() => {});
  return path.slice(0, -'.seedbed.where'.length);
}

function locationOf({ dbFilename, dbLocation }: OpenOptions): string | undefined {
  if (dbLocation) return dbLocation;
  const helper: Helper | undefined = NativeModules.NativePowerSyncHelper;
  return helper?.resolveDefaultDatabaseLocation(dbFilename) ?? undefined;
}

/** Opens a connection as the SDK does: the same library, its core extension, the app's extensions and key. */
export async function openBare(path: string, { sqliteOptions }: OpenOptions): Promise<Connection> {
  const end = path.lastIndexOf('/');
  const inMemory = path === ':memory:';
  // What is in memory alone needs no key.
  const encryptionKey = inMemory ? undefined : sqliteOptions?.encryptionKey;
  const where = { name: path.slice(end + 1), location: inMemory ? path : path.slice(0, end) };
  const db: DB = open(encryptionKey ? { ...where, encryptionKey } : where);
  try {
    for (const { path, entryPoint } of sqliteOptions?.extensions ?? []) db.loadExtension(path, entryPoint);
    const core =
      Platform.OS === 'ios' ? getDylibPath('co.powersync.sqlitecore', 'powersync-sqlite-core') : 'libpowersync';
    db.loadExtension(core, 'sqlite3_powersync_init');
    await db.execute('PRAGMA busy_timeout = 0');
  } catch (error) {
    db.close();
    throw error;
  }
  return {
    query: async (sql, parameters = []) => (await db.executeRaw(sql, parameters)).rawRows ?? [],
    close: async () => db.close()
  };
}
