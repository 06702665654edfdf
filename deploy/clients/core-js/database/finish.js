/** Makes a database of a staged file, in one transaction. Rule 8 of CONTRACT.md. */

import { SeedbedError, asSeedbedError, messageOf } from '../reasons.js';
import { RECORD_KEY } from './inspect.js';
import { withSqlite } from '../platform.js';
import { FINISHES } from './finishes.js';
import { unseal } from './unseal.js';

/** @typedef {import('../platform.js').Connection} Connection */

/**
 * @typedef {object} Finishing
 * @property {import('../snapshot/ask.js').Rendition} rendition
 * @property {import('./inspect.js').Record} record
 * @property {((connection: Connection) => Promise<void>) | undefined} prepare
 * @property {string} [key] Of a sealed file.
 */

/**
 * Finishes the staged file, unless it is.
 *
 * A process that is killed leaves it finished or as it was: SQLite's journal decides when it is opened again.
 *
 * @param {import('../platform.js').Platform} platform
 * @param {string} staged
 * @param {Finishing} finishing
 * @throws {SeedbedError} `newer_core`, `not_openable`, `disk_full`.
 */
export async function finish(platform, staged, finishing) {
  try {
    const work = (/** @type {Connection} */ connection) => inTransaction(platform, connection, finishing);
    if (finishing.key === undefined) await withSqlite(platform, staged, work);
    else await unseal(platform, staged, finishing.key, work);
  } catch (error) {
    throw asSeedbedError(error, 'not_openable', 'the snapshot cannot be finished');
  }
}

/**
 * @param {import('../platform.js').Platform} platform
 * @param {Connection} connection
 * @param {Finishing} finishing
 */
async function inTransaction(platform, connection, finishing) {
  // One file, so that the rename takes all of it.
  await connection.query('PRAGMA journal_mode = DELETE');
  await connection.query('BEGIN IMMEDIATE');
  // An error needs no ROLLBACK: closing is one.
  const before = await schemaVersion(connection);
  const after = await migrated(connection);
  if (after < before) {
    throw new SeedbedError('newer_core', `the snapshot has schema ${before}, which is newer than the SDK's`);
  }
  if (!(await hasRecord(connection))) await complete(platform, connection, finishing);
  await connection.query('COMMIT');
}

/** @param {Connection} connection */
async function hasRecord(connection) {
  return (await connection.query('SELECT 1 FROM ps_kv WHERE key = ?', [RECORD_KEY])).length > 0;
}

/** @param {Connection} connection */
async function schemaVersion(connection) {
  const [[version]] = await connection.query('SELECT max(id) FROM ps_migration');
  return Number(version);
}

/**
 * Migrates up, or down by what the newer core has left for that.
 *
 * @param {Connection} connection
 * @returns {Promise<number>} The version that is there then; 0 if there is no way down.
 */
async function migrated(connection) {
  try {
    await connection.query('SELECT powersync_init()');
  } catch (error) {
    if (/down migration/i.test(messageOf(error))) return 0;
    throw error;
  }
  return schemaVersion(connection);
}

/**
 * @param {import('../platform.js').Platform} platform
 * @param {Connection} connection
 * @param {import('./finishes.js').Step} step
 * @param {string} schema
 */
async function run(platform, connection, { name, sql, parameters, returns, of_core: ofCore }, schema) {
  if (ofCore) {
    for (const statement of await askCore(platform, ofCore)) await connection.query(statement);
  }
  if (!sql) return;
  // better-sqlite3 takes a parameter with a number for one with a name.
  const rows = parameters ? await connection.query(sql.replace('?1', '?'), [schema]) : await connection.query(sql);
  if (returns !== undefined && Number(rows[0]?.[0]) !== returns) {
    throw new Error(`the step ${name} returned ${rows[0]?.[0]} in place of ${returns}`);
  }
}

/**
 * What this core extension would make itself.
 *
 * @param {import('../platform.js').Platform} platform
 * @param {string} question
 * @returns {Promise<string[]>}
 */
async function askCore(platform, question) {
  return withSqlite(platform, ':memory:', async (fresh) => {
    await fresh.query('BEGIN');
    await fresh.query('SELECT powersync_init()');
    return (await fresh.query(question)).map(([statement]) => statement);
  });
}

/**
 * @param {import('../platform.js').Platform} platform
 * @param {Connection} connection
 * @param {Finishing} finishing
 */
async function complete(platform, connection, { rendition, record, prepare }) {
  await connection.query("DELETE FROM ps_kv WHERE key LIKE '%\\_checkpoint\\_request\\_id' ESCAPE '\\'");
  // Two clients must never share one: the service tells them apart by it.
  await connection.query("INSERT OR REPLACE INTO ps_kv (key, value) VALUES ('client_id', uuid())");
  if (rendition.form === 'compact') {
    const schema = platform.schema();
    await prepare?.(connection);
    await connection.query('SELECT powersync_replace_schema(?)', [schema]);
    for (const step of FINISHES[/** @type {number} */ (rendition.finish)].steps) {
      await run(platform, connection, step, schema);
    }
  }
  const [[synced, writes]] = await connection.query(
    'SELECT EXISTS (SELECT 1 FROM ps_sync_state), EXISTS (SELECT 1 FROM ps_crud)'
  );
  if (Number(synced) !== 1) throw new Error('the core extension does not accept its checkpoint');
  if (Number(writes) !== 0) throw new Error('it has local writes');
  await writeRecord(connection, record);
}

/**
 * Says whose database it is, if nothing says so yet.
 *
 * @param {Pick<Connection, 'query'>} connection
 * @param {import('./inspect.js').Record} record
 */
export async function writeRecord({ query }, record) {
  await query('INSERT OR IGNORE INTO ps_kv (key, value) VALUES (?, ?)', [RECORD_KEY, JSON.stringify(record)]);
}
