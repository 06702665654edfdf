/** Whether the database that is there may be replaced. Rules 1 and 2 of CONTRACT.md. */

import { messageOf } from '../reasons.js';
import { Paths, removeCompanions, withSqlite } from '../platform.js';

/** @typedef {import('../platform.js').Connection} Connection */

/**
 * Whose database it is.
 *
 * @typedef {{ store: string, service?: string, account?: string }} Record
 */

/**
 * @typedef {object} Inspection
 * @property {import('../reasons.js').Kept | undefined} kept Why it must not be replaced.
 * @property {Record | undefined} record
 */

/** The key of the record in `ps_kv`. A full clear of the database removes it, as it does with every key but `client_id`. */
export const RECORD_KEY = 'seedbed_store';

/** PowerSync's own, up to schema version 14 (`migrations.rs` of powersync-sqlite-core 0.5.4). */
const INTERNAL = new Set([
  'ps_migration',
  'ps_untyped',
  'ps_crud',
  'ps_tx',
  'ps_kv',
  'ps_buckets',
  'ps_oplog',
  'ps_updated_rows',
  'ps_stream_subscriptions',
  'ps_sync_state'
]);

/**
 * Looks at the database, if there is one.
 *
 * @param {import('../platform.js').Platform} platform
 * @param {string} database
 * @returns {Promise<Inspection>}
 */
export async function inspect(platform, database) {
  if ((await platform.files.size(database)) === undefined) return { kept: undefined, record: undefined };
  try {
    return await withSqlite(platform, database, inspectOpen);
  } catch (error) {
    return { kept: isBusy(error) ? 'in_use' : 'unreadable', record: undefined };
  }
}

/**
 * Puts the staged file where the database is, unless that must be kept.
 *
 * @param {import('../platform.js').Platform} platform
 * @param {Paths} paths
 * @returns {Promise<import('../reasons.js').Kept | undefined>} Why it was kept; undefined if it was replaced.
 */
export async function install(platform, paths) {
  const { files, openSqlite, alone } = platform;
  if ((await files.size(paths.database)) === undefined) {
    await removeCompanions(files, paths.database);
    return (await files.place(paths.staged, paths.database)) ? undefined : 'in_use';
  }
  if (alone) {
    return alone(paths.database, async () => {
      const { kept } = await inspect(platform, paths.database);
      if (kept) return kept;
      await removeCompanions(files, paths.database);
      await files.replace(paths.staged, paths.database);
      return undefined;
    });
  }
  let connection;
  try {
    connection = await openSqlite(paths.database);
    // The lock of this mode is refused while any other connection is open, idle ones included, and stays until this one
    // is closed. It has to be set before anything is read.
    await connection.query('PRAGMA locking_mode = EXCLUSIVE');
    await connection.query('BEGIN EXCLUSIVE');
    const { kept } = await inspectOpen(connection);
    await connection.query('ROLLBACK');
    if (kept) return kept;
    // With a WAL, closing would remove a file by its name, and that name will be the new database's.
    await connection.query('PRAGMA journal_mode = DELETE');
    if (files.closeFirst) {
      await connection.close();
      connection = undefined;
    }
    await removeCompanions(files, paths.database);
    await files.replace(paths.staged, paths.database);
    return undefined;
  } catch (error) {
    if (isBusy(error)) return 'in_use';
    throw error;
  } finally {
    await connection?.close();
  }
}

/**
 * @param {Connection} connection
 * @returns {Promise<Inspection>}
 */
export async function inspectOpen(connection) {
  const tables = await tablesOf(connection);
  const has = async (/** @type {string} */ table, /** @type {string} */ where = '') =>
    tables.has(table) && (await any(connection, table, where));
  const record = tables.has('ps_kv') ? await recordOf(connection) : undefined;
  const kept = async () => {
    if ((await has('ps_sync_state')) || (await has('ps_kv', "WHERE key = 'last_synced_at'"))) return 'synced';
    if (await has('ps_crud')) return 'local_writes';
    for (const table of tables) {
      if (INTERNAL.has(table) ? table === 'ps_untyped' && (await has(table)) : await has(table)) return 'local_rows';
    }
    if ((await has('ps_oplog')) && (await wasComplete(connection))) return 'cleared_softly';
    return undefined;
  };
  return { kept: await kept(), record };
}

/**
 * Every table that holds rows of its own: neither SQLite's nor the shadow of a virtual one, whose rows are not the user's.
 *
 * @param {Connection} connection
 * @returns {Promise<Set<string>>}
 */
async function tablesOf(connection) {
  const rows = await connection.query(
    "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
  );
  return new Set(rows.map(([name]) => name));
}

/**
 * @param {Connection} connection
 * @param {string} table
 * @param {string} where
 */
async function any(connection, table, where) {
  const quoted = `"${table.replaceAll('"', '""')}"`;
  const [[found]] = await connection.query(`SELECT EXISTS (SELECT 1 FROM ${quoted} ${where})`);
  return Number(found) === 1;
}

/**
 * Whether a bucket had once all of a checkpoint: then its operations were kept on purpose (`powersync_clear` with the flag
 * for a soft clear leaves `count_at_last`, which `sync_local` has set; a first download that broke off has 0).
 *
 * @param {Connection} connection
 */
async function wasComplete(connection) {
  const columns = await connection.query("SELECT name FROM pragma_table_info('ps_buckets')");
  if (!columns.some(([name]) => name === 'count_at_last')) return true;
  return any(connection, 'ps_buckets', 'WHERE count_at_last > 0');
}

/**
 * @param {Connection} connection
 * @returns {Promise<Record | undefined>}
 */
async function recordOf(connection) {
  const [row] = await connection.query('SELECT value FROM ps_kv WHERE key = ?', [RECORD_KEY]);
  try {
    return row && JSON.parse(row[0]);
  } catch {
    return undefined;
  }
}

/**
 * Whether two descriptions can be of one database: what only one of them knows is not compared.
 *
 * @param {Record | undefined} record
 * @param {Record} wanted
 */
export function isSameStore(record, wanted) {
  if (!record) return true;
  return (
    record.store === wanted.store &&
    (!record.account || !wanted.account || record.account === wanted.account) &&
    (!record.service || !wanted.service || record.service === wanted.service)
  );
}

/**
 * A service's URL as it is compared: `https://host:port/path`, without what URLs may have or not.
 *
 * @param {string | undefined | null} url
 * @returns {string | undefined}
 */
export function service(url) {
  const origin = /^[a-z]+:\/\/[^/]+/i;
  return url
    ? url
        .trim()
        .replace(/\/+$/, '')
        .replace(origin, (found) => found.toLowerCase())
    : undefined;
}

/** @param {unknown} error */
function isBusy(error) {
  return /database is locked|SQLITE_BUSY|database table is locked/i.test(messageOf(error));
}
