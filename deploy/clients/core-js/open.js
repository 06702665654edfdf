/** From a launch to a database that the app can use. Rules 9 and 10 of CONTRACT.md. */

import { Launch } from './launch.js';
import { removeDatabase } from './platform.js';
import { writeRecord } from './database/finish.js';
import { report } from './report.js';
import { SeedbedError, messageOf } from './reasons.js';

/**
 * What is needed of the SDK's database object.
 *
 * @typedef {object} Database
 * @property {(sql: string, parameters?: any[]) => Promise<unknown>} execute
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
  const launch = new Launch(platform, database, source);
  const { outcome } = launch;
  try {
    let failure = await launch.run();
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
    await db.execute(INSERT_CLIENT_ID);
    await writeRecord({ query: (sql, parameters) => /** @type {any} */ (db.execute(sql, parameters)) }, launch.record);
    if (failure) warn(db, failure);
    return db;
  } finally {
    await launch.end();
    source.onOutcome?.(outcome);
    void report(platform, source, outcome);
  }
}

/**
 * A file that an older package has placed has none, and the core extension makes one only when it creates `ps_kv`
 * (`migrations.rs`, version 3, in powersync-sqlite-core 0.5.4): every connection would fail with "No client_id found in
 * ps_kv" (`kv.rs`).
 */
const INSERT_CLIENT_ID = "INSERT OR IGNORE INTO ps_kv (key, value) VALUES ('client_id', uuid())";
