/** One launch at a time for a database, in all processes. Rule 3 of CONTRACT.md. */

import { pause } from '../clock.js';
import { messageOf } from '../reasons.js';

/** @typedef {import('../platform.js').Connection} Connection */

/**
 * @typedef {object} Lock
 * @property {string} core The version of the core extension, which the connection has anyway.
 * @property {() => Promise<void>} release
 */

/** Milliseconds between two tries. */
const AGAIN = 50;

/**
 * Takes the lock, and waits for it.
 *
 * The system frees it when a process dies, and leaves the empty file.
 *
 * @param {import('../platform.js').Platform} platform
 * @param {string} path
 * @param {AbortSignal} signal Ends the wait.
 * @returns {Promise<Lock>}
 */
export async function takeLock(platform, path, signal) {
  if (platform.lock) return platform.lock(path, signal);
  for (;;) {
    const held = await tryToTake(platform, path);
    if (held) return held;
    await pause(AGAIN, signal);
  }
}

/**
 * @param {import('../platform.js').Platform} platform
 * @param {string} path
 * @returns {Promise<Lock | undefined>}
 */
async function tryToTake(platform, path) {
  let connection = await begin(platform, path);
  while (connection) {
    // The one before may have removed the file that this connection has opened: then another file can be locked.
    const another = await begin(platform, path);
    if (!another) {
      const held = connection;
      const [[version]] = await held.query('SELECT powersync_rs_version()');
      return { core: String(version).split('/')[0], release: () => release(platform, path, held) };
    }
    await connection.close();
    connection = another;
  }
  return undefined;
}

/**
 * @param {import('../platform.js').Platform} platform
 * @param {string} path
 * @returns {Promise<Connection | undefined>} Undefined if another connection has it.
 */
async function begin(platform, path) {
  const connection = await platform.openSqlite(path);
  try {
    // Nothing is ever written: no file for a journal.
    await connection.query('PRAGMA journal_mode = MEMORY');
    await connection.query('BEGIN EXCLUSIVE');
    return connection;
  } catch (error) {
    await connection.close();
    if (/database is locked|SQLITE_BUSY/i.test(messageOf(error))) return undefined;
    throw error;
  }
}

/**
 * @param {import('../platform.js').Platform} platform
 * @param {string} path
 * @param {Connection} connection
 */
async function release({ files }, path, connection) {
  // While it is held, so that nobody else's is removed.
  if (files.closeFirst) {
    await connection.close();
    await files.remove(path).catch(() => {});
  } else {
    await files.remove(path);
    await connection.close();
  }
}
