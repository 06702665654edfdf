/** @typedef {import('@powersync/web').WebSQLOpenOptions} OpenOptions */
/**
 * @param {OpenOptions} options The app's: where its worker is, and the key.
 * @param {import('@powersync/web').PowerSyncLogger} logger
 * @param {WASQLiteVFS | undefined} vfs
 * @param {string} dbFilename
 * @returns {Promise<import('seedbed-client-core').Connection>}
 */
export function openBare(options: OpenOptions, logger: import("@powersync/web").PowerSyncLogger, vfs: WASQLiteVFS | undefined, dbFilename: string): Promise<import("seedbed-client-core").Connection>;
/** @param {OpenOptions} options */
export function isPlain({ vfs, encryptionKey }: OpenOptions): boolean;
/**
 * Whether reading connections learn of what was written by messages, some time later: until then they see the database as it was
 * before, without its tables if it is new (`isolateForRead` in `WriteAhead.js` of @journeyapps/wa-sqlite 2.0.5).
 *
 * @param {OpenOptions} options
 */
export function isBehind({ vfs }: OpenOptions): boolean;
/**
 * Waits until the reading connections see what the writing one has written.
 *
 * @param {import('@powersync/web').PowerSyncDatabase} db
 * @param {OpenOptions} options
 */
export function catchUp(db: import("@powersync/web").PowerSyncDatabase, { additionalReaders }: OpenOptions): Promise<void>;
export type OpenOptions = import("@powersync/web").WebSQLOpenOptions;
import { WASQLiteVFS } from '@powersync/web';
