/**
 * What is needed of the SDK's database object.
 *
 * @typedef {import('./stream/launch.js').StreamDatabase} Database
 */
/**
 * Runs the launch, opens the database, and says what has come of it.
 *
 * @template {Database} D
 * @param {import('./platform.js').Platform} platform
 * @param {string} database Where the SDK opens it.
 * @param {import('./source.js').SnapshotSource} source
 * @param {() => Promise<D>} open Opens it with the SDK, and leaves nothing open if that fails.
 * @param {(db: D, error: SeedbedError) => void} warn Logs why there is no snapshot.
 * @returns {Promise<D>}
 */
export function openAfter<D extends Database>(platform: import("./platform.js").Platform, database: string, source: import("./source.js").SnapshotSource, open: () => Promise<D>, warn: (db: D, error: SeedbedError) => void): Promise<D>;
/**
 * What is needed of the SDK's database object.
 */
export type Database = import("./stream/launch.js").StreamDatabase;
import { SeedbedError } from './reasons.js';
