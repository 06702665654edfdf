/** Unpacks a part that still grows, so that a device works while it waits for the network. Rule 7 of CONTRACT.md. */

import { isPacked, removeDatabase } from '../platform.js';

/** @typedef {import('./ask.js').Rendition} Rendition */

/** Bytes that are unpacked at a time, unless they are the last. */
const PIECE = 256 * 1024;

/** What is unpacked while the part grows; nobody relies on it before both hashes were checked. */
export class UnpackedAhead {
  /**
   * Starts, if the platform can, and if what comes of it can be checked.
   *
   * @param {import('../platform.js').Files} files
   * @param {import('../platform.js').Paths} paths
   * @param {Rendition} rendition
   * @param {number} there Bytes of the part that are there.
   * @returns {Promise<UnpackedAhead | undefined>}
   */
  static async start(files, paths, rendition, there) {
    const { encoding, unpackedBytes, unpackedSha256 } = rendition;
    if (!files.follows || !isPacked(encoding) || unpackedBytes === undefined || unpackedSha256 === undefined) return undefined;
    await removeDatabase(files, paths.staged);
    return new UnpackedAhead(files, paths, rendition, there);
  }

  /**
   * @param {import('../platform.js').Files} files
   * @param {import('../platform.js').Paths} paths
   * @param {Rendition} rendition
   * @param {number} there
   */
  constructor(files, { part, staged }, { encoding, bytes, unpackedBytes = 0 }, there) {
    this.total = bytes;
    this.size = there;
    this.controller = new AbortController();
    /** @type {(() => void)[]} */
    this.waiting = [];
    const more = (/** @type {number} */ at) => this.more(at);
    /** @type {Promise<boolean>} Whether all of it is unpacked. Why not does not matter: it is done again then. */
    this.done = files.unpack(encoding, part, staged, unpackedBytes, () => {}, this.controller.signal, more).then(
      () => true,
      () => false
    );
  }

  /** @param {number} size Bytes that are there now. */
  grow(size) {
    this.size = size;
    this.wake();
  }

  wake() {
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  /** Ends it, and waits for its end. */
  async stop() {
    this.controller.abort();
    this.wake();
    await this.done;
  }

  /**
   * Waits for as many bytes as are worth the work.
   *
   * @param {number} at Bytes that have been read.
   * @returns {Promise<number>} How many are there; `at` if no more will come.
   */
  async more(at) {
    while (this.size < Math.min(at + PIECE, this.total) && !this.controller.signal.aborted) {
      await /** @type {Promise<void>} */ (new Promise((resolve) => this.waiting.push(resolve)));
    }
    return Math.max(at, this.size);
  }
}
