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
export type OpenOptions = import("@powersync/web").WebSQLOpenOptions;
import { WASQLiteVFS } from '@powersync/web';
