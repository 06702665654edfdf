/**
 * A first launch from a snapshot, on any platform. The states are those of CONTRACT.md; each function is one, and names what
 * a process leaves that is killed in it.
 */

import { ask } from './ask.js';
import { Silence, pause, reasonOf } from './clock.js';
import { downloadAll } from './download.js';
import { finish } from './finish.js';
import { FINISH } from './finishes.js';
import { inspect, install, isSameStore, service } from './inspect.js';
import { takeLock } from './lock.js';
import { Note } from './note.js';
import { Paths, removeDatabase, removeLeftovers } from './platform.js';
import { SeedbedError, asSeedbedError } from './reasons.js';

/**
 * @typedef {object} SnapshotSource
 * @property {string} url Where `seedbed serve` answers: `https://seedbed.example.com/database`.
 * @property {string} storeId The store whose snapshot is wanted.
 * @property {() => Promise<string>} getToken The user's token, which must allow the store. Not asked for when the database
 *   is kept.
 * @property {'file' | 'compact'} [form] `file` by default. `compact` is a fraction of the bytes; the device finishes it.
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
 * @typedef {object} Progress
 * @property {'waiting' | 'downloading' | 'unpacking' | 'finishing'} stage
 * @property {number} bytes
 * @property {number | undefined} total
 */

/**
 * @typedef {object} Outcome
 * @property {'kept' | 'installed' | 'sync' | 'failed'} outcome
 * @property {import('./reasons.js').Kept | import('./reasons.js').Reason | undefined} reason
 * @property {'file' | 'compact' | undefined} form
 * @property {import('./platform.js').Encoding | undefined} encoding
 * @property {number} bytes That came over the network.
 * @property {number} resumes
 * @property {Partial<Record<Progress['stage'], number>>} seconds
 * @property {string | undefined} core The version of the SDK's core extension.
 */

const SILENCE_LIMIT = 30_000;
const WAIT_LIMIT = 120_000;

/** Pauses of `wait`, in milliseconds. */
const WAIT_FIRST = 5_000;
const WAIT_MOST = 60_000;

/** One launch. */
export class Launch {
  /**
   * @param {import('./platform.js').Platform} platform
   * @param {string} database Where the SDK opens it.
   * @param {SnapshotSource} source
   */
  constructor(platform, database, source) {
    this.platform = platform;
    this.paths = new Paths(database);
    this.source = source;
    /** @type {import('./inspect.js').Record} */
    this.record = { store: source.storeId, service: service(source.endpoint), account: source.account };
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
    /** @type {import('./lock.js').Lock | undefined} */
    this.lock = undefined;
    this.stage = { name: /** @type {Progress['stage'] | undefined} */ (undefined), since: 0 };
  }

  /**
   * Puts the snapshot where the SDK will open the database, if what is there may be replaced.
   *
   * @returns {Promise<SeedbedError | undefined>} Why there is no snapshot; undefined if there is, or if the database is kept.
   * @throws {SeedbedError} As `whenUnavailable` says; if it is another store's; if cancelled.
   */
  async run() {
    const cancel = this.cancelling();
    try {
      const { kept } = await this.inspect();
      // In use for a moment: another launch is about to replace it.
      if (kept && kept !== 'in_use' && !(await this.isUnderWay())) return this.keep(kept);
      this.enter('waiting', 0, undefined);
      this.lock = await takeLock(this.platform, this.paths.lock, cancel.signal);
      this.outcome.core = this.lock.core;
      return await this.locked(cancel.signal);
    } catch (error) {
      const known = asSeedbedError(error, 'not_openable', 'the launch failed');
      this.outcome.outcome = 'failed';
      this.outcome.reason = known.code;
      throw known;
    } finally {
      this.enter(undefined, 0, undefined);
      cancel.end();
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
    const inspection = await inspect(this.platform, this.paths.database);
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
    const { whenUnavailable = 'sync' } = this.source;
    for (let wait = WAIT_FIRST; ; wait = Math.min(2 * wait, WAIT_MOST)) {
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
        if (whenUnavailable === 'sync') return await this.unavailable(known);
        // What lasts is not worth keeping the bytes for.
        if (!known.passes) await removeLeftovers(this.platform.files, this.paths);
        if (whenUnavailable === 'fail' || !known.passes) throw known;
        this.enter('waiting', 0, undefined);
        await pause(known.retryAfter ?? wait, signal);
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
    await removeLeftovers(this.platform.files, this.paths);
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
    if (this.platform.encrypted) {
      throw new SeedbedError('encrypted', "the app's database has a key, and a snapshot would lie on the disk in plain text");
    }
    const note = await Note.read(this.platform.files, this.paths);
    const rendition = await this.staged(note, signal);
    this.outcome.form = rendition.form;
    this.outcome.encoding = rendition.encoding;
    this.enter('finishing', 0, undefined);
    try {
      await finish(this.platform, this.paths.staged, { rendition, record: this.record, prepare: this.source.prepare });
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
    await note.remove();
    this.outcome.outcome = 'installed';
    return undefined;
  }

  /**
   * WAITING, DOWNLOADING and UNPACKING, as far as an earlier launch has not done them.
   *
   * @param {Note} note
   * @param {AbortSignal} signal
   * @returns {Promise<import('./ask.js').Rendition>} What the staged file is.
   */
  async staged(note, signal) {
    const snapshot = await this.askPatiently(signal);
    const { rendition } = snapshot;
    // Of another snapshot, or nothing that could be read.
    if (!note.isOf(rendition, this.record)) {
      await removeLeftovers(this.platform.files, this.paths);
      await note.start(rendition, this.record);
    } else if (note.staged) {
      return rendition;
    }
    const resumed = (await this.platform.files.size(this.paths.part)) ?? 0;
    try {
      await this.download(snapshot, note, signal);
      await this.unpack(rendition, signal);
    } catch (error) {
      const corrupt = error instanceof SeedbedError && error.code === 'corrupt';
      if (corrupt) await removeLeftovers(this.platform.files, this.paths);
      // A machine that lost its power may have kept the size of a file and not its bytes.
      if (!corrupt || resumed === 0) throw error;
      await note.start(rendition, this.record);
      await this.download(snapshot, note, signal);
      await this.unpack(rendition, signal);
    }
    await note.setStaged();
    await this.platform.files.remove(this.paths.part);
    return rendition;
  }

  /**
   * WAITING: leaves what was there.
   *
   * @param {AbortSignal} signal
   */
  async askPatiently(signal) {
    this.enter('waiting', 0, undefined);
    const { waitLimit = WAIT_LIMIT, timeLimit = Infinity } = this.source;
    const deadline = Date.now() + Math.min(waitLimit, timeLimit);
    for (;;) {
      try {
        return await this.ask(signal);
      } catch (error) {
        const wait = error instanceof SeedbedError ? error.retryAfter : undefined;
        if (wait === undefined || Date.now() + wait > deadline) throw error;
        await pause(wait, signal);
      }
    }
  }

  /** @param {AbortSignal} signal */
  async ask(signal) {
    const { platform, source, outcome } = this;
    const silence = new Silence(source.silenceLimit ?? SILENCE_LIMIT, signal);
    try {
      const wanted = {
        ...source,
        form: source.form ?? /** @type {const} */ ('file'),
        encodings: platform.encodings,
        core: outcome.core ?? '',
        finish: FINISH
      };
      return await ask(platform.fetch, wanted, silence.signal);
    } catch (error) {
      if (signal.aborted) throw reasonOf(signal);
      throw silence.stalled ? silence.signal.reason : error;
    } finally {
      silence.end();
    }
  }

  /**
   * DOWNLOADING: leaves the note, and a part that ends anywhere.
   *
   * @param {import('./ask.js').Snapshot} snapshot
   * @param {Note} note
   * @param {AbortSignal} signal
   */
  async download({ rendition, databaseUrl }, note, signal) {
    const { platform, paths, source } = this;
    const total = rendition.bytes;
    const there = (await platform.files.size(paths.part)) ?? 0;
    await this.needDisk(rendition, total - there);
    this.enter('downloading', there, total);
    const received = await downloadAll({
      platform,
      part: paths.part,
      rendition,
      databaseUrl,
      etag: note.etag,
      silenceLimit: source.silenceLimit ?? SILENCE_LIMIT,
      signal,
      renew: async () => {
        const renewed = await this.ask(signal);
        if (renewed.rendition.sha256 === rendition.sha256) return renewed.databaseUrl;
        throw new SeedbedError('expired', 'there is another snapshot now');
      },
      onEtag: (etag) => note.setEtag(etag),
      onBytes: (bytes) => this.progress(bytes, total)
    });
    this.outcome.bytes += received.bytes;
    this.outcome.resumes += received.resumes;
  }

  /**
   * UNPACKING: leaves the part, and perhaps a staged file that is not whole.
   *
   * @param {import('./ask.js').Rendition} rendition
   * @param {AbortSignal} signal
   */
  async unpack({ encoding, bytes, sha256, unpackedBytes, unpackedSha256 }, signal) {
    const { files } = this.platform;
    const { part, staged } = this.paths;
    if ((await files.sha256(part)) !== sha256) {
      throw new SeedbedError('corrupt', 'the snapshot was altered on the way: its sha256 differs');
    }
    await removeDatabase(files, staged);
    if (encoding === 'identity') {
      await files.sync(part);
      await files.replace(part, staged);
      return;
    }
    this.enter('unpacking', 0, unpackedBytes);
    const limit = unpackedBytes ?? 100 * bytes;
    try {
      await files.unpack(encoding, part, staged, limit, (there) => this.progress(there, unpackedBytes), signal);
    } catch (error) {
      if (signal.aborted) throw reasonOf(signal);
      throw asSeedbedError(error, 'corrupt', 'the snapshot cannot be unpacked');
    }
    const right =
      (unpackedBytes === undefined || (await files.size(staged)) === unpackedBytes) &&
      (unpackedSha256 === undefined || (await files.sha256(staged)) === unpackedSha256);
    if (!right) throw new SeedbedError('corrupt', 'the unpacked snapshot is not what the answer says');
  }

  /**
   * @param {import('./ask.js').Rendition} rendition
   * @param {number} left Bytes to download.
   */
  async needDisk({ form, encoding, bytes, unpackedBytes }, left) {
    const unpacked = unpackedBytes ?? (encoding === 'identity' ? bytes : 4 * bytes);
    const needed = left + (encoding === 'identity' ? 0 : unpacked) + (form === 'compact' ? unpacked : 0);
    const free = await this.platform.files.free(this.paths.database);
    if (free !== undefined && free < needed) {
      throw new SeedbedError('disk_full', `the snapshot needs ${needed} bytes of disk, and ${free} are free`);
    }
  }

  /** Aborts when the app does, or after `timeLimit`. */
  cancelling() {
    const controller = new AbortController();
    const { signal, timeLimit } = this.source;
    const follow = () => controller.abort(new SeedbedError('cancelled', 'the launch was cancelled', { cause: signal?.reason }));
    signal?.addEventListener('abort', follow);
    if (signal?.aborted) follow();
    const late = () => controller.abort(new SeedbedError('stalled', `it took longer than ${timeLimit} ms (timeout)`));
    const timer = timeLimit === undefined ? undefined : setTimeout(late, timeLimit);
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', follow);
    };
    return { signal: controller.signal, end };
  }

  /**
   * @param {Progress['stage'] | undefined} name
   * @param {number} bytes
   * @param {number | undefined} total
   */
  enter(name, bytes, total) {
    const now = Date.now();
    const { name: former, since } = this.stage;
    if (former) this.outcome.seconds[former] = (this.outcome.seconds[former] ?? 0) + (now - since) / 1000;
    this.stage = { name, since: now };
    this.progress(bytes, total);
  }

  /**
   * @param {number} bytes
   * @param {number | undefined} total
   */
  progress(bytes, total) {
    const { name: stage } = this.stage;
    if (stage) this.source.onProgress?.({ stage, bytes, total });
  }
}
