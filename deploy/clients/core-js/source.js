/** What an app says about a launch, and what it is told. */

/**
 * @typedef {object} SnapshotSource
 * @property {string} url Where `seedbed serve` answers: `https://seedbed.example.com/database`.
 * @property {string} storeId The store whose snapshot is wanted.
 * @property {() => Promise<string>} getToken The user's token, which must allow the store. Not asked for when the database
 *   is kept.
 * @property {'file' | 'compact' | 'stream'} [form] `file` by default. `compact` is a fraction of the bytes; the device finishes it.
 *   `stream` is a first sync from Seedbed by the SDK's own connection, and the form of a database with a key, whatever is asked for,
 *   unless there is a sealed file for it (`encryption`).
 * @property {Encryption} [encryption] Where the package takes it: encrypts the app's database, and has it begin with a sealed file.
 * @property {(db: any) => unknown} [subscribe] Subscribes to the streams that the snapshot has, beyond the default ones: `stream` only.
 * @property {'sync' | 'wait' | 'fail'} [whenUnavailable] What to do without a snapshot: open an empty database, so that
 *   `connect` does the normal initial sync (default); keep trying; or throw a `SeedbedError`.
 * @property {(progress: Progress) => void} [onProgress]
 * @property {(outcome: Outcome) => void} [onOutcome] Called once, when the database is open or the launch has failed.
 * @property {AbortSignal} [signal] Cancels the launch; what has been downloaded stays for the next one.
 * @property {string} [endpoint] The PowerSync service that the app connects to. A snapshot of another one is refused.
 * @property {string} [account] Who uses the database. One of another account is refused.
 * @property {string | number} [generation] The generation that the app needs.
 * @property {number} [maxAge] Seconds since the snapshot was verified.
 * @property {(connection: import('./platform.js').Connection) => Promise<void>} [prepare] Makes the app's raw tables, before
 *   a compact file is finished.
 * @property {number} [silenceLimit] Milliseconds without a byte after which a request is given up. 30 seconds by default.
 * @property {number} [waitLimit] Milliseconds to wait for a store that is being seeded, or a busy server. Two minutes by
 *   default.
 * @property {number} [timeLimit] Milliseconds for all of it. None by default.
 * @property {boolean | string} [report] Sends an anonymous report of a first launch: `true`, or the URL of `POST /reports`.
 *   Off by default.
 */

/**
 * @typedef {object} Encryption
 * @property {string} key The app's own key, as its SQLite library takes it: a passphrase, or a raw key in the library's notation.
 * @property {import('./platform.js').Cipher} [format] Of the app's database and of the file: that of the package by default.
 */

/**
 * @typedef {object} Progress
 * @property {'waiting' | 'downloading' | 'unpacking' | 'finishing'} stage
 * @property {number} bytes In the form `stream`, operations.
 * @property {number | undefined} total
 */

/**
 * @typedef {object} Outcome
 * @property {'kept' | 'installed' | 'sync' | 'failed'} outcome
 * @property {import('./reasons.js').Kept | import('./reasons.js').Reason | undefined} reason
 * @property {'file' | 'compact' | 'stream' | undefined} form
 * @property {import('./platform.js').Encoding | undefined} encoding
 * @property {number} bytes That came over the network.
 * @property {number} resumes
 * @property {Partial<Record<Progress['stage'], number>>} seconds
 * @property {string | undefined} core The version of the SDK's core extension.
 */

/** Where the limits of a source have no value: milliseconds. */
export const SILENCE_LIMIT = 30_000;
export const WAIT_LIMIT = 120_000;

/** What an app and a report are told about a launch: the stage it is in, and what has come of it. */
export class Course {
  /** @param {SnapshotSource} source */
  constructor({ onProgress }) {
    this.onProgress = onProgress;
    /** @type {Outcome} */
    this.outcome = {
      outcome: 'kept',
      reason: undefined,
      form: undefined,
      encoding: undefined,
      bytes: 0,
      resumes: 0,
      seconds: {},
      core: undefined
    };
    /** @type {{ name: Progress['stage'] | undefined, since: number }} */
    this.stage = { name: undefined, since: 0 };
  }

  /**
   * @param {Progress['stage'] | undefined} name Undefined when the launch ends.
   * @param {number} [bytes]
   * @param {number} [total]
   */
  enter(name, bytes = 0, total = undefined) {
    const now = Date.now();
    const { name: former, since } = this.stage;
    const { seconds } = this.outcome;
    if (former) seconds[former] = (seconds[former] ?? 0) + (now - since) / 1000;
    this.stage = { name, since: now };
    this.progress(bytes, total);
  }

  /**
   * @param {number} bytes
   * @param {number | undefined} total
   */
  progress(bytes, total) {
    const { name: stage } = this.stage;
    if (stage) this.onProgress?.({ stage, bytes, total });
  }
}
