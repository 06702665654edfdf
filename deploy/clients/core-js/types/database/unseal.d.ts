/** @typedef {import('../platform.js').Connection} Connection */
/**
 * A process that is killed leaves a file that one of the two keys opens, perhaps with a journal, which is of the file's key.
 *
 * @param {import('../platform.js').Platform} platform
 * @param {string} staged
 * @param {string} key The file's.
 * @param {(connection: Connection) => Promise<void>} work What is done before it gets the app's key.
 */
export function unseal(platform: import("../platform.js").Platform, staged: string, key: string, work: (connection: Connection) => Promise<void>): Promise<void>;
export type Connection = import("../platform.js").Connection;
