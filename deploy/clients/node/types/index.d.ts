/**
 * Opens the database, after installing the store's snapshot if there is none yet, or one that never completed a sync and
 * has nothing of its own. The database is ready to read, and not connected: `db.connect(connector)` then downloads what
 * has changed since the snapshot. Without a snapshot, for any reason, the database is empty and `connect` does the normal
 * initial sync; the reason is logged (`whenUnavailable` says otherwise).
 *
 * @param {DatabaseOptions} options
 * @param {SnapshotSource} source
 * @returns {Promise<PowerSyncDatabase>}
 * @throws {SeedbedError} As `whenUnavailable` says; if the launch is cancelled; if the database is another store's.
 * @throws What the SDK throws, when it cannot open the database, with or without a snapshot.
 */
export function openSeeded(options: DatabaseOptions, source: SnapshotSource): Promise<PowerSyncDatabase>;
/**
 * What `new PowerSyncDatabase(…)` takes, with the database as options. Each store and account needs a file of its own.
 */
export type DatabaseOptions = import("@powersync/node").NodePowerSyncDatabaseOptions & {
    database: import("@powersync/node").NodeSQLOpenOptions;
};
export type SnapshotSource = import("seedbed-client-core").SnapshotSource;
import { PowerSyncDatabase } from '@powersync/node';
import { SeedbedError } from 'seedbed-client-core';
import { seededConnector } from 'seedbed-client-core';
export { SeedbedError, seededConnector };
