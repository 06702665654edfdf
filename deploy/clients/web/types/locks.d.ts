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
export function takeLaunch(database: string, signal: AbortSignal): Promise<() => void>;
/**
 * Says that this tab has the database open, until the function is called or the tab goes away.
 *
 * @param {string} database
 * @returns {Promise<() => void>}
 */
export function takeOpen(database: string): Promise<() => void>;
/**
 * Does it while no tab has the database open.
 *
 * @template T
 * @param {string} database
 * @param {() => Promise<T>} work
 * @returns {Promise<T | 'in_use'>}
 */
export function whileClosed<T>(database: string, work: () => Promise<T>): Promise<T | "in_use">;
