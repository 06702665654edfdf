/**
 * Which tab may do what with a database, by Web Locks: SQLite's own locks do not tell, since tabs take turns at the files. The
 * system frees them when a tab goes away.
 */

/**
 * One launch at a time.
 *
 * @param {string} database
 * @param {AbortSignal} signal Ends the wait.
 * @returns {Promise<() => void>} Frees it.
 */
export function takeLaunch(database, signal) {
  return held(`seedbed-launch:${database}`, { mode: 'exclusive', signal });
}

/**
 * Says that this tab has the database open, until the function is called or the tab goes away.
 *
 * @param {string} database
 * @returns {Promise<() => void>}
 */
export function takeOpen(database) {
  return held(open(database), { mode: 'shared' });
}

/**
 * Does it while no tab has the database open.
 *
 * @template T
 * @param {string} database
 * @param {() => Promise<T>} work
 * @returns {Promise<T | 'in_use'>}
 */
export async function whileClosed(database, work) {
  return navigator.locks.request(open(database), { mode: 'exclusive', ifAvailable: true }, (lock) => (lock ? work() : 'in_use'));
}

const open = (/** @type {string} */ database) => `seedbed-open:${database}`;

/**
 * @param {string} name
 * @param {LockOptions} options
 * @returns {Promise<() => void>}
 */
function held(name, options) {
  return new Promise((taken, failed) => {
    navigator.locks.request(name, options, () => new Promise((free) => taken(() => free(undefined)))).catch(failed);
  });
}
