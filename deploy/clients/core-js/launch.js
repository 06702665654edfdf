/**
 * A first launch from a snapshot, on any platform. The states are those of CONTRACT.md; each function is one, and names what
 * a process leaves that is killed in it.
 */

import { cancelling, pause, reasonOf } from './clock.js';
import { finish } from './database/finish.js';
import { inspect, install, isSameStore, service } from './database/inspect.js';
import { takeLock } from './database/lock.js';
import { Paths, removeDatabase, removeLeftovers } from './platform.js';
import { SeedbedError, asSeedbedError } from './reasons.js';
import { Note } from './snapshot/note.js';
import { Staging, askAhead } from './snapshot/stage.js';
import { Course, SILENCE_LIMIT } from './source.js';

/** Pauses of `wait`: the first is a sixth of the silence limit, 5 seconds; the longest twice the limit, a minute. */
export const FIRST = 1 / 6;
export const LONGEST = 2;

/** One launch. */
export class Launch {
  /**
   * @param {import('./platform.js').Platform} platform
   * @param {string} database Where the SDK opens it.
   * @param {import('./source.js').SnapshotSource} source
   */
  constructor(platform, database, source) {
    this.platform = platform;
    this.paths = new Paths(database);
    this.source = source;
    /** @type {import('./database/inspect.js').Record} */
    this.record = { store: source.storeId, service: service(source.endpoint), account: source.account };
    this.course = new Course(source);
    this.outcome = this.course.outcome;
    /** @type {import('./database/lock.js').Lock | undefined} */
    this.lock = undefined;
    /** @type {import('./snapshot/ask.js').Early | undefined} */
    this.early = undefined;
  }

  /**
   * Puts the snapshot where the SDK will open the database, if what is there may be replaced.
   *
   * @returns {Promise<SeedbedError | undefined>} Why there is no snapshot; undefined if there is, or if the database is kept.
   * @throws {SeedbedError} As `whenUnavailable` says; if it is another store's; if cancelled.
   */
  async run() {
    const cancel = cancelling(this.source);
    const ahead = new AbortController();
    try {
      // Missing, it is replaceable, whatever else there is.
      const missing = (await this.platform.files.size(this.paths.database)) === undefined;
      if (missing) this.early = askAhead(this.platform, this.source, ahead.signal);
      const { kept } = await this.inspect();
      // In use for a moment: another launch is about to replace it.
      if (kept && kept !== 'in_use' && !(await this.isUnderWay())) return this.keep(kept);
      this.course.enter('waiting');
      this.lock = await takeLock(this.platform, this.paths.lock, cancel.signal);
      this.outcome.core = this.lock.core;
      return await this.locked(cancel.signal);
    } catch (error) {
      const known = asSeedbedError(error, 'not_openable', 'the launch failed');
      // A directory that is missing, or not writable: what the SDK says about it is what the app wants to know.
      const own = ['cancelled', 'wrong_store'].includes(known.code);
      if (!own && (this.source.whenUnavailable ?? 'sync') === 'sync') return await this.unavailable(known);
      this.outcome.outcome = 'failed';
      this.outcome.reason = known.code;
      throw known;
    } finally {
      this.course.enter(undefined);
      cancel.end();
      ahead.abort();
    }
  }

  /** Lets other launches go on: once the database is open, since the SDK's first statements wait for no lock. */
  async end() {
    await this.lock?.release();
    this.lock = undefined;
  }

  /** Whether there is anything of a launch: one that goes on, or one that was killed. */
  async isUnderWay() {
    for (const path of [this.paths.lock, this.paths.note, this.paths.part, this.paths.staged]) {
      if ((await this.platform.files.size(path)) !== undefined) return true;
    }
    return false;
  }

  /** INSPECT: leaves the database as it was. */
  async inspect() {
    return this.checked(await inspect(this.platform, this.paths.database));
  }

  /**
   * @param {import('./database/inspect.js').Inspection} inspection
   * @throws {SeedbedError} `wrong_store`.
   */
  checked(inspection) {
    if (inspection.kept && !isSameStore(inspection.record, this.record)) {
      throw new SeedbedError(
        'wrong_store',
        `the database is of store ${inspection.record?.store}: give each store and account a file name of its own`
      );
    }
    return inspection;
  }

  /**
   * LOCKED: leaves an empty lock file.
   *
   * @param {AbortSignal} signal
   */
  async locked(signal) {
    const { whenUnavailable = 'sync', silenceLimit = SILENCE_LIMIT } = this.source;
    for (let wait = FIRST; ; wait = Math.min(2 * wait, LONGEST)) {
      // Another launch may have installed one in the meantime.
      const { kept } = await this.inspect();
      if (kept) {
        await removeLeftovers(this.platform.files, this.paths);
        return this.keep(kept);
      }
      try {
        return await this.attempt(signal);
      } catch (error) {
        if (signal.aborted && this.source.signal?.aborted) throw reasonOf(signal);
        const known = asSeedbedError(error, 'not_openable', 'no snapshot');
        // Without a sealed file there is still the stream.
        if (whenUnavailable === 'sync' || known.code === 'encrypted') return await this.unavailable(known);
        // What lasts is not worth keeping the bytes for.
        if (!known.passes) await removeLeftovers(this.platform.files, this.paths);
        if (whenUnavailable === 'fail' || !known.passes) throw known;
        this.course.enter('waiting');
        await pause(known.retryAfter ?? wait * silenceLimit, signal);
      }
    }
  }

  /**
   * @param {import('./reasons.js').Kept} kept
   * @returns {undefined}
   */
  keep(kept) {
    this.outcome.outcome = 'kept';
    this.outcome.reason = kept;
    return undefined;
  }

  /**
   * UNAVAILABLE: leaves less and less of the launch's files.
   *
   * @param {SeedbedError} error
   */
  async unavailable(error) {
    await removeLeftovers(this.platform.files, this.paths).catch(() => {});
    this.outcome.outcome = 'sync';
    this.outcome.reason = error.code;
    return error;
  }

  /**
   * From a question to an installed database.
   *
   * @param {AbortSignal} signal
   * @returns {Promise<undefined>}
   */
  async attempt(signal) {
    const note = await Note.read(this.platform.files, this.paths);
    const staging = new Staging({ ...this, note, signal });
    this.early = undefined;
    const rendition = await staging.run();
    this.outcome.form = rendition.form;
    this.outcome.encoding = staging.encoding ?? rendition.encoding;
    this.course.enter('finishing');
    try {
      const { prepare } = this.source;
      await finish(this.platform, this.paths.staged, { rendition, record: this.record, prepare, key: staging.key });
    } catch (error) {
      await removeLeftovers(this.platform.files, this.paths);
      throw error;
    }
    if (signal.aborted) throw reasonOf(signal);
    await this.platform.files.sync(this.paths.staged);
    const kept = await install(this.platform, this.paths);
    if (kept) {
      await removeLeftovers(this.platform.files, this.paths);
      return this.keep(kept);
    }
    // What its virtual file system has left of it.
    await removeDatabase(this.platform.files, this.paths.staged);
    await note.remove();
    this.outcome.outcome = 'installed';
    return undefined;
  }
}
