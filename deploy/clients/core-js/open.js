/** From a launch to a database that the app can use. Rules 9 and 10 of CONTRACT.md. */

import { Launch } from './launch.js';
import { StreamLaunch } from './stream/launch.js';
import { removeDatabase } from './platform.js';
import { writeRecord } from './database/finish.js';
import { RECORD_KEY } from './database/inspect.js';
import { report } from './report.js';
import { SeedbedError, messageOf } from './reasons.js';

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
export async function openAfter(platform, database, source, open, warn) {
  // Any other form would lie on the disk in plain text.
  const streamed = source.form === 'stream' || (platform.encrypted && !platform.sealed);
  const db = streamed ? undefined : await openFilled(platform, database, source, open, warn);
  return db ?? openStreamed(platform, database, source, open, warn);
}

/**
 * @template {Database} D
 * @param {import('./platform.js').Platform} platform
 * @param {string} database
 * @param {import('./source.js').SnapshotSource} source
 * @param {() => Promise<D>} open
 * @param {(db: D, error: SeedbedError) => void} warn
 * @returns {Promise<D | undefined>} Undefined, and nothing is open, if there is no sealed file for a database with a key.
 */
async function openFilled(platform, database, source, open, warn) {
  const launch = new Launch(platform, database, source);
  const { outcome } = launch;
  let streamed = false;
  try {
    let failure = await launch.run();
    streamed = failure?.code === 'encrypted';
    if (streamed) return undefined;
    let db;
    try {
      db = await open();
    } catch (error) {
      // A file that was there before may hold what its user has written. One that was installed just now does not.
      if (outcome.outcome !== 'installed') throw error;
      failure = new SeedbedError('not_openable', `the SDK cannot open the snapshot: ${messageOf(error)}`, { cause: error });
      await removeDatabase(platform.files, database);
      if (source.whenUnavailable === 'fail') {
        outcome.outcome = 'failed';
        outcome.reason = failure.code;
        throw failure;
      }
      outcome.outcome = 'sync';
      outcome.reason = failure.code;
      db = await open();
    }
    await claim(db, launch.record);
    await platform.settled?.(db);
    if (failure) warn(db, failure);
    return db;
  } finally {
    await launch.end();
    if (!streamed) {
      source.onOutcome?.(outcome);
      void report(platform, source, outcome);
    }
  }
}

/**
 * Opens the database, and has the SDK take its first sync from Seedbed, before the app gets it.
 *
 * @template {Database} D
 * @param {import('./platform.js').Platform} platform
 * @param {string} database
 * @param {import('./source.js').SnapshotSource} source
 * @param {() => Promise<D>} open
 * @param {(db: D, error: SeedbedError) => void} warn
 * @returns {Promise<D>}
 */
async function openStreamed(platform, database, source, open, warn) {
  const launch = new StreamLaunch(platform, database, source);
  const { outcome } = launch;
  /** @type {D | undefined} */
  let db;
  try {
    const before = platform.bare === false ? undefined : await launch.inspect();
    db = await open();
    const { kept } = before ?? (await launch.inspectIn(db));
    // What there is may be the beginning of another store's.
    if (!kept) await db.execute('DELETE FROM ps_kv WHERE key = ?', [RECORD_KEY]);
    await claim(db, launch.record);
    await platform.settled?.(db);
    if (kept) launch.keep(kept);
    const failure = kept ? undefined : await launch.fill(db);
    if (!kept) await platform.settled?.(db);
    if (failure) warn(db, failure);
    return db;
  } catch (error) {
    outcome.outcome = 'failed';
    if (error instanceof SeedbedError) outcome.reason = error.code;
    await db?.close();
    throw error;
  } finally {
    source.onOutcome?.(outcome);
    void report(platform, source, outcome);
  }
}

/**
 * Says whose database it is, and that it is a client of its own.
 *
 * @param {Database} db
 * @param {import('./database/inspect.js').Record} record
 */
async function claim(db, record) {
  await db.execute(INSERT_CLIENT_ID);
  await writeRecord({ query: (sql, parameters) => /** @type {any} */ (db.execute(sql, parameters)) }, record);
}

/**
 * A file that an older package has placed has none, and the core extension makes one only when it creates `ps_kv`
 * (`migrations.rs`, version 3, in powersync-sqlite-core 0.5.4): every connection would fail with "No client_id found in
 * ps_kv" (`kv.rs`).
 */
const INSERT_CLIENT_ID = "INSERT OR IGNORE INTO ps_kv (key, value) VALUES ('client_id', uuid())";
