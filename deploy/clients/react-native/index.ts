/**
 * Opens a PowerSync database that starts from a Seedbed snapshot instead of an initial sync, with Expo's modules: see
 * README.md. Apps without them use `./bare.ts`.
 */

import type { PowerSyncDatabase, Schema } from '@powersync/react-native';
import { fetch } from 'expo/fetch';
import { Paths } from 'expo-file-system';
import type { SnapshotSource } from 'seedbed-client-core';
import { expoFiles, pathOf } from './expo.ts';
import { openWith } from './open.ts';
import type { DatabaseOptions, Unpacking } from './options.ts';

export { SeedbedError, seededConnector } from 'seedbed-client-core';
export type { DatabaseOptions, SnapshotSource };

/**
 * Opens the database where the SDK opens it, after installing the store's snapshot if there is none yet, or one that never
 * completed a sync and has nothing of its own. The database is ready to read, and not connected. Without a snapshot, for
 * any reason, it is empty and `connect` does the normal initial sync (`whenUnavailable` says otherwise).
 *
 * Call it once for a file, not in an effect: React runs effects twice in its strict mode.
 *
 * @throws SeedbedError as `whenUnavailable` says; if the launch is cancelled; if the database is another store's. And what
 *   the SDK throws, when it cannot open the database.
 */
export async function openSeeded(options: DatabaseOptions, source: SnapshotSource & Unpacking): Promise<PowerSyncDatabase>;
/**
 * As version 0.1 had it: in the app's documents, which is not where the SDK opens a database by itself.
 *
 * @deprecated Name the directory in the options: `database: { dbFilename, dbLocation }`.
 */
export async function openSeeded(schema: Schema, dbFilename: string, source: SnapshotSource): Promise<PowerSyncDatabase>;
export async function openSeeded(
  first: DatabaseOptions | Schema,
  second: (SnapshotSource & Unpacking) | string,
  third?: SnapshotSource
): Promise<PowerSyncDatabase> {
  if (typeof second === 'string') {
    const database = { dbFilename: second, dbLocation: pathOf(Paths.document.uri) };
    return openSeeded({ schema: first as Schema, database }, third as SnapshotSource);
  }
  const platform = { files: expoFiles(second.gunzip), fetch: fetch as unknown as typeof globalThis.fetch };
  return openWith(platform, first as DatabaseOptions, second);
}
