/** Makes an encrypted database of a sealed file: it is opened once with the file's key, and gets the app's own. Rule 12 of CONTRACT.md. */

import { withSqlite } from '../platform.js';

/** @typedef {import('../platform.js').Connection} Connection */

/**
 * A process that is killed leaves a file that one of the two keys opens, perhaps with a journal, which is of the file's key.
 *
 * @param {import('../platform.js').Platform} platform
 * @param {string} staged
 * @param {string} key The file's.
 * @param {(connection: Connection) => Promise<void>} work What is done before it gets the app's key.
 */
export async function unseal(platform, staged, key, work) {
  const { files, sealed } = platform;
  if (!sealed) throw new Error('this platform opens no sealed files');
  // Whoever opens it plays the journal back, and needs the key for that.
  const interrupted = (await files.size(`${staged}-journal`)) !== undefined;
  if (!interrupted && (await isOpenedByApp(platform, staged))) return;
  const connection = await sealed.open(staged, key);
  try {
    // What does not fit into memory when it is sorted would be written without encryption.
    await connection.query('PRAGMA temp_store = MEMORY');
    await work(connection);
    await sealed.rekey(connection);
  } finally {
    await connection.close();
  }
  if (!(await isOpenedByApp(platform, staged))) throw new Error("the app's key does not open what was encrypted with it");
}

/**
 * Whether it has the app's key already: that comes last.
 *
 * @param {import('../platform.js').Platform} platform
 * @param {string} path
 */
async function isOpenedByApp(platform, path) {
  try {
    await withSqlite(platform, path, (connection) => connection.query('SELECT count(*) FROM sqlite_master'));
    return true;
  } catch {
    return false;
  }
}
