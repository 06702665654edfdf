/** A first launch in the stream form: the SDK itself takes the first sync from Seedbed, before the app has the database. */

import { cancelling, pause, reasonOf, unlessAborted } from '../clock.js';
import { SeedbedError, asSeedbedError } from '../reasons.js';
import { FIRST, LONGEST, Launch } from '../launch.js';
import { inspectOpen } from '../database/inspect.js';
import { SILENCE_LIMIT } from '../source.js';
import { askStart, endpointOf } from './start.js';
import { read } from './device.js';
import { Watch } from './watch.js';

/**
 * What is needed of the SDK's database object.
 *
 * @typedef {import('./device.js').Reader & {
 *   execute: (sql: string, parameters?: any[]) => Promise<unknown>,
 *   registerListener: (listener: any) => () => void,
 *   connect: (connector: any, options?: any) => Promise<void>,
 *   disconnect: () => Promise<void>,
 *   close: () => Promise<void>
 * }} StreamDatabase
 */

/** Connections that bring nothing, and the pause of the SDK between two: a part of the silence limit, one second. */
const TRIES = 3;
const PAUSES = 30;

/** A launch of that kind. */
export class StreamLaunch extends Launch {
  /**
   * Brings the first sync into an open database, if it has none.
   *
   * @param {StreamDatabase} db
   * @returns {Promise<SeedbedError | undefined>} Why it is not there.
   */
  async fill(db) {
    const cancel = cancelling(this.source);
    const { whenUnavailable = 'sync', silenceLimit = SILENCE_LIMIT } = this.source;
    try {
      for (let wait = FIRST; ; wait = Math.min(2 * wait, LONGEST)) {
        try {
          return await this.take(db, cancel.signal);
        } catch (error) {
          if (cancel.signal.aborted) throw reasonOf(cancel.signal);
          const known = asSeedbedError(error, 'cut', 'no stream');
          if (whenUnavailable === 'sync') return await this.unavailable(known);
          if (whenUnavailable === 'fail' || !known.passes) throw known;
          this.course.enter('waiting');
          await pause(known.retryAfter ?? wait * silenceLimit, cancel.signal);
        }
      }
    } finally {
      this.course.enter(undefined);
      cancel.end();
    }
  }

  /**
   * The same as `inspect`, by a database that the SDK has opened.
   *
   * @param {StreamDatabase} db
   */
  async inspectIn(db) {
    const query = async (/** @type {string} */ sql, /** @type {any[]} */ parameters = []) =>
      (await db.getAll(sql, parameters)).map((row) => Object.values(row));
    return this.checked(await inspectOpen({ query, close: async () => {} }));
  }

  /** Positions that have arrived stay: `connect` goes on with them. */
  async unavailable(/** @type {SeedbedError} */ error) {
    this.outcome.outcome = 'sync';
    this.outcome.reason = error.code;
    return error;
  }

  /**
   * @param {StreamDatabase} db
   * @param {AbortSignal} signal
   * @returns {Promise<undefined>}
   */
  async take(db, signal) {
    const { url, storeId, getToken, silenceLimit = SILENCE_LIMIT, subscribe } = this.source;
    this.course.enter('waiting');
    await subscribe?.(db);
    const token = await getToken().catch((error) => {
      throw asSeedbedError(error, 'no_token', 'the app has no token');
    });
    const { generation } = await read(db);
    const asked = askStart(this.platform.fetch, endpointOf(url), { storeId, token, generation, limit: silenceLimit });
    const { endpoint, code, reason } = await unlessAborted(asked, signal);
    if (endpoint === undefined) throw new SeedbedError(code, `Seedbed has no stream for the device: ${reason}`);
    this.course.enter('downloading');
    const connection = new Connection(db, { silenceLimit, onProgress: (done, total) => this.course.progress(done, total) });
    try {
      const connector = {
        fetchCredentials: async () => ({ endpoint, token: await getToken() }),
        invalidateCredentials: () => connection.refused(),
        // Nobody has the database yet; what there is stays for the app's own connector.
        uploadData: async () => {
          throw new Error('the first sync is not over');
        }
      };
      const options = { connectionMethod: 'http', retryDelayMs: silenceLimit / PAUSES };
      connection.begin();
      void db.connect(connector, options).catch((error) => connection.fail(error));
      await unlessAborted(connection.done, signal);
    } finally {
      connection.end();
      await db.disconnect();
    }
    this.outcome.outcome = 'installed';
    this.outcome.form = 'stream';
    return undefined;
  }
}

/** The SDK's connection to Seedbed, until the first sync has completed. */
class Connection {
  /**
   * @param {StreamDatabase} db
   * @param {{ silenceLimit: number, onProgress: (done: number, total: number) => void }} more
   */
  constructor(db, { silenceLimit, onProgress }) {
    this.db = db;
    this.silenceLimit = silenceLimit;
    this.onProgress = onProgress;
    /** @type {Promise<void>} */
    this.done = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // It may fail while nobody waits for it.
    this.done.catch(() => {});
  }

  begin() {
    const { db, silenceLimit } = this;
    const late = () => this.fail(new SeedbedError('stalled', `the stream brought nothing, for ${silenceLimit / 1000} s or in ${TRIES} connections`));
    // The SDK is about to connect for the first time.
    this.watch = new Watch(db, { tries: TRIES + 1, silenceLimit, connecting: false }, late);
    this.dispose = db.registerListener({
      statusChanged: (/** @type {any} */ { hasSynced, downloadProgress: progress }) => {
        if (progress) this.onProgress(progress.downloadedOperations, progress.totalOperations);
        if (hasSynced) this.resolve?.();
      }
    });
  }

  /** After a 401, and after the last line of a stream, which has been applied then. */
  refused() {
    read(this.db).then(({ synced }) => {
      if (synced) this.resolve?.();
      else this.fail(new SeedbedError('unauthorized', 'Seedbed refuses the stream: the token, the subscriptions, or a sync that has begun'));
    }, (error) => this.fail(error));
  }

  /** @param {unknown} error */
  fail(error) {
    this.reject?.(asSeedbedError(error, 'cut', 'the stream broke off'));
  }

  end() {
    this.watch?.end();
    this.dispose?.();
  }
}
