/** From a question to a whole staged file: WAITING, DOWNLOADING and UNPACKING. Rules 4 to 7 of CONTRACT.md. */

import { Silence, pause, reasonOf } from '../clock.js';
import { FINISH, FINISHES } from '../database/finishes.js';
import { isPacked, removeDatabase, removeLeftovers } from '../platform.js';
import { SeedbedError, asSeedbedError } from '../reasons.js';
import { SILENCE_LIMIT, WAIT_LIMIT } from '../source.js';
import { UnpackedAhead } from './ahead.js';
import { ask, askEarly, decoded } from './ask.js';
import { downloadAll } from './download.js';

/**
 * @typedef {object} Parts
 * @property {import('../platform.js').Platform} platform
 * @property {import('../platform.js').Paths} paths
 * @property {import('../source.js').SnapshotSource} source
 * @property {import('../source.js').Course} course
 * @property {import('../database/inspect.js').Record} record
 * @property {import('./note.js').Note} note
 * @property {AbortSignal} signal
 * @property {import('./ask.js').Early} [early]
 */

/** Downloads from the start, before a launch goes without. */
const TRIES = 3;

/** While one snapshot was downloaded, a newer one has taken its place. */
class Replaced extends SeedbedError {}

/**
 * What is asked for, as long as nothing has gone wrong.
 *
 * @param {import('../platform.js').Platform} platform
 * @param {import('../source.js').SnapshotSource} source
 * @param {'file' | 'compact'} form
 * @param {string} core
 */
function wantedOf(platform, source, form, core) {
  const { sealed } = platform;
  const encodings = sealed ? [sealed.format] : platform.encodings;
  return { ...source, form, encodings, inline: !platform.chunk, sealed: sealed !== undefined, core, finish: FINISH };
}

/**
 * Asks before anything else is done: the answer comes while SQLite and its threads start.
 *
 * @param {import('../platform.js').Platform} platform
 * @param {import('../source.js').SnapshotSource} source
 * @param {AbortSignal} signal
 */
export function askAhead(platform, source, signal) {
  return askEarly(platform.fetch, wantedOf(platform, source, source.form === 'compact' ? 'compact' : 'file', ''), signal);
}

/** One attempt. */
export class Staging {
  /** @param {Parts} parts */
  constructor({ platform, paths, source, course, record, note, signal, early }) {
    this.platform = platform;
    this.paths = paths;
    this.source = source;
    this.course = course;
    this.record = record;
    this.note = note;
    this.signal = signal;
    this.early = early;
    /** In place of those of the platform. @type {import('../platform.js').Encoding[] | undefined} */
    this.encodings = undefined;
    /** Whether the snapshot may come with the answer: the first time, since what has broken off goes on from a URL. */
    this.inline = true;
    /** Of the sealed file. @type {string | undefined} */
    this.key = undefined;
    /** How the bytes have come. */
    this.encoding = /** @type {import('../platform.js').Encoding | undefined} */ (undefined);
  }

  /**
   * Does what an earlier launch has not done.
   *
   * @returns {Promise<import('./ask.js').Rendition>} What the staged file is.
   */
  async run() {
    const { platform, paths, note } = this;
    for (let tries = 1; ; tries++) {
      const snapshot = await this.askPatiently();
      const { rendition, key } = snapshot;
      this.key = key;
      if (!note.isOf(rendition, this.record)) {
        // Of another snapshot, or nothing that could be read.
        await removeLeftovers(platform.files, paths);
        await note.start(rendition, this.record);
      } else if (note.staged) {
        snapshot.content?.cancel();
        return rendition;
      }
      const resumed = (await platform.files.size(paths.part)) ?? 0;
      try {
        const ahead = await this.download(snapshot);
        await this.unpack(rendition, ahead);
        return rendition;
      } catch (error) {
        snapshot.content?.cancel();
        const { code } = asSeedbedError(error, 'cut', 'the download failed');
        if (code === 'corrupt') {
          await removeLeftovers(platform.files, paths);
          note.forget();
        }
        // A machine that lost its power may have kept the size of a file and not its bytes.
        const damaged = ['corrupt', 'cut'].includes(code) && isPacked(snapshot.packed ?? rendition.encoding);
        // Libraries and proxies unpack what is called gzip, some in the middle of a range: the plain file has no such name.
        if (damaged && resumed === 0) this.encodings = ['identity'];
        const again = error instanceof Replaced || damaged || (code === 'corrupt' && resumed > 0);
        if (!again || tries === TRIES) throw error;
      }
    }
  }

  /**
   * WAITING: leaves what was there.
   */
  async askPatiently() {
    this.course.enter('waiting');
    const { waitLimit = WAIT_LIMIT, timeLimit = Infinity } = this.source;
    const deadline = Date.now() + Math.min(waitLimit, timeLimit);
    for (;;) {
      try {
        return await this.ask();
      } catch (error) {
        const wait = error instanceof SeedbedError ? error.retryAfter : undefined;
        if (wait === undefined || Date.now() + wait > deadline) throw error;
        await pause(wait, this.signal);
      }
    }
  }

  async ask() {
    const { platform, source, course, signal } = this;
    const silence = new Silence(source.silenceLimit ?? SILENCE_LIMIT, signal);
    try {
      const core = course.outcome.core ?? '';
      // With another core extension, finishing is not tested.
      const compact = source.form === 'compact' && FINISHES[FINISH].core_versions.includes(core);
      const usual = wantedOf(platform, source, compact ? 'compact' : 'file', core);
      const inline = usual.inline && this.inline;
      const wanted = { ...usual, inline, encodings: this.encodings ?? usual.encodings };
      const { early } = this;
      this.early = undefined;
      const snapshot = await ask(platform.fetch, wanted, silence.signal, early);
      return platform.decodes ? decoded(snapshot) : snapshot;
    } catch (error) {
      if (signal.aborted) throw reasonOf(signal);
      throw silence.stalled ? silence.signal.reason : error;
    } finally {
      silence.end();
    }
  }

  /**
   * DOWNLOADING: leaves the note, a part that ends anywhere, and perhaps a staged file that ends anywhere too.
   *
   * @param {import('./ask.js').Snapshot} snapshot
   * @returns {Promise<UnpackedAhead | undefined>} What was unpacked meanwhile, where the platform can.
   */
  async download({ rendition, databaseUrl, packed, content }) {
    const { platform, paths, source, course, note, signal } = this;
    this.inline = false;
    const total = rendition.bytes;
    const there = (await platform.files.size(paths.part)) ?? 0;
    await this.needDisk(rendition, total - there);
    course.enter('downloading', there, total);
    const ahead = await UnpackedAhead.start(platform.files, paths, rendition, there);
    try {
      const received = await downloadAll({
        platform,
        part: paths.part,
        rendition,
        databaseUrl,
        packed,
        content,
        etag: note.etag,
        silenceLimit: source.silenceLimit ?? SILENCE_LIMIT,
        signal,
        renew: async () => {
          const renewed = await this.ask();
          if (note.isOf(renewed.rendition, this.record)) return renewed;
          throw new Replaced('expired', 'there is another snapshot now');
        },
        plain: () => this.askForPlain(),
        onEtag: (etag) => note.setEtag(etag),
        onBytes: (bytes) => {
          ahead?.grow(bytes);
          course.progress(bytes, total);
        }
      });
      this.encoding = packed ?? rendition.encoding;
      course.outcome.bytes += received.bytes;
      course.outcome.resumes += received.resumes;
      return ahead;
    } catch (error) {
      await ahead?.stop();
      throw error;
    }
  }

  /**
   * The same bytes without an encoding, so that they can be gone on with. The same again, if there is no such rendition.
   */
  async askForPlain() {
    const { encodings } = this;
    this.encodings = ['identity'];
    const plain = await this.ask().catch(() => undefined);
    this.encodings = encodings;
    return plain && !plain.packed && this.note.isOf(plain.rendition, this.record) ? plain : undefined;
  }

  /**
   * UNPACKING: leaves the part, and perhaps a staged file that is not whole.
   *
   * @param {import('./ask.js').Rendition} rendition
   * @param {UnpackedAhead | undefined} ahead
   */
  async unpack(rendition, ahead) {
    const { note } = this;
    const { files } = this.platform;
    const { part, staged } = this.paths;
    const { encoding, sha256, unpackedBytes } = rendition;
    if ((await files.sha256(part)) !== sha256) {
      await ahead?.stop();
      throw new SeedbedError('corrupt', 'the snapshot was altered on the way: its sha256 differs');
    }
    if (!isPacked(encoding)) {
      await removeDatabase(files, staged);
      await files.sync(part);
      // Before the rename: a process that is killed in between has a part, which is checked and renamed again.
      await note.setStaged();
      await files.replace(part, staged);
      return;
    }
    this.course.enter('unpacking', 0, unpackedBytes);
    const whole = (await ahead?.done) && (await this.isWhole(rendition));
    if (!whole) {
      await this.unpackAll(rendition);
      if (!(await this.isWhole(rendition))) throw new SeedbedError('corrupt', 'the unpacked snapshot is not what the answer says');
    }
    await note.setStaged();
    await files.remove(part);
  }

  /**
   * Whether the staged file is what the answer says, as far as it says something.
   *
   * @param {import('./ask.js').Rendition} rendition
   */
  async isWhole({ unpackedBytes, unpackedSha256 }) {
    const { files } = this.platform;
    const { staged } = this.paths;
    return (
      (unpackedBytes === undefined || (await files.size(staged)) === unpackedBytes) &&
      (unpackedSha256 === undefined || (await files.sha256(staged)) === unpackedSha256)
    );
  }

  /** @param {import('./ask.js').Rendition} rendition */
  async unpackAll({ encoding, bytes, unpackedBytes }) {
    const { course, signal } = this;
    const { files } = this.platform;
    const { part, staged } = this.paths;
    await removeDatabase(files, staged);
    const limit = unpackedBytes ?? 100 * bytes;
    try {
      await files.unpack(encoding, part, staged, limit, (there) => course.progress(there, unpackedBytes), signal);
    } catch (error) {
      if (signal.aborted) throw reasonOf(signal);
      throw asSeedbedError(error, 'corrupt', 'the snapshot cannot be unpacked');
    }
  }

  /**
   * @param {import('./ask.js').Rendition} rendition
   * @param {number} left Bytes to download.
   */
  async needDisk({ form, encoding, bytes, unpackedBytes }, left) {
    const packed = isPacked(encoding);
    const unpacked = unpackedBytes ?? (packed ? 4 * bytes : bytes);
    // While a sealed file gets another key, its journal has the pages of before.
    const twice = form === 'compact' || this.platform.sealed !== undefined;
    const needed = left + (packed ? unpacked : 0) + (twice ? unpacked : 0);
    const free = await this.platform.files.free(this.paths.database);
    if (free !== undefined && free < needed) {
      throw new SeedbedError('disk_full', `the snapshot needs ${needed} bytes of disk, and ${free} are free`);
    }
  }
}
