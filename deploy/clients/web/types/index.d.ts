/**
 * Opens the database, after its first sync from Seedbed if it never completed one and has nothing of its own. The database is
 * ready to read, and not connected: `db.connect(connector)` then downloads what has changed since the snapshot. Without a
 * snapshot, for any reason, the database is empty and `connect` does the normal initial sync; the reason is logged
 * (`whenUnavailable` says otherwise).
 *
 * The form is `stream` by default. `file` and `compact` need one of the virtual file systems with plain files in OPFS
 * (`OPFSCoopSyncVFS`, `OPFSWriteAheadVFS`) and no `encryptionKey`; with any other, they are `stream` as well.
 *
 * @param {DatabaseOptions} options
 * @param {SnapshotSource} source
 * @returns {Promise<PowerSyncDatabase>}
 * @throws {SeedbedError} As `whenUnavailable` says; if the launch is cancelled; if the database is another store's.
 * @throws What the SDK throws, when it cannot open the database, with or without a snapshot.
 */
export function openSeeded(options: DatabaseOptions, source: SnapshotSource): Promise<PowerSyncDatabase>;
/**
 * What `new PowerSyncDatabase(…)` takes, with the database as options. Each store and account needs a name of its own.
 */
export type DatabaseOptions = import("@powersync/web").WebPowerSyncDatabaseOptions & {
    database: import("@powersync/web").WebSQLOpenOptions;
};
export type SnapshotSource = import("seedbed-client-core").SnapshotSource;
import { PowerSyncDatabase } from '@powersync/web';
import { SeedbedError } from 'seedbed-client-core';
import { seededConnector } from 'seedbed-client-core';
export { SeedbedError, seededConnector };
