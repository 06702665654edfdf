/**
 * Opens the database, after its first sync from Seedbed if it never completed one and has nothing of its own. The database is
 * ready to read, and not connected. Without a snapshot, for any reason, it is empty and `connect` does the normal initial sync
 * (`whenUnavailable` says otherwise).
 *
 * In a native app the form is always `stream`. In a browser, everything is as in the package for the web.
 *
 * @param {DatabaseOptions} options
 * @param {SnapshotSource} source
 * @returns {Promise<PowerSyncDatabase>}
 * @throws {SeedbedError} As `whenUnavailable` says; if the launch is cancelled; if the database is another store's.
 */
export function openSeeded(options: DatabaseOptions, source: SnapshotSource): Promise<PowerSyncDatabase>;
export type DatabaseOptions = import("seedbed-client-web").DatabaseOptions;
export type SnapshotSource = import("seedbed-client-core").SnapshotSource;
import { PowerSyncDatabase } from '@powersync/capacitor';
import { SeedbedError } from 'seedbed-client-core';
import { seededConnector } from 'seedbed-client-core';
export { SeedbedError, seededConnector };
