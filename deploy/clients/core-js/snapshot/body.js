/**
 * The body of an answer, read ahead: when a connection is lost, a stream forgets what has arrived and was not read yet, and
 * it would have to be downloaded again.
 */

import { unlessAborted } from '../clock.js';

/** Bytes that are read ahead. */
const AHEAD = 512 * 1024;

export class Body {
  /**
   * Starts reading.
   *
   * @param {Response} answer
   * @param {import('../clock.js').Silence} silence
   */
  constructor(answer, silence) {
    this.answer = answer;
    this.silence = silence;
    /** @type {Uint8Array[]} */
    this.chunks = [];
    this.size = 0;
    this.ended = false;
    /** @type {unknown} */
    this.error = undefined;
    /** @type {(() => void)[]} Whoever waits for something to happen to the above. */
    this.waiting = [];
    this.reader = answer.body?.getReader?.();
    void this.read();
  }

  /**
   * The next piece; undefined at the end.
   *
   * @returns {Promise<Uint8Array | undefined>}
   * @throws What ended the body early, once all that had arrived before was taken.
   */
  async next() {
    for (;;) {
      const chunk = this.chunks.shift();
      if (chunk) {
        this.size -= chunk.length;
        this.wake();
        return chunk;
      }
      if (this.error) throw this.error;
      if (this.ended) return undefined;
      await this.change();
    }
  }

  /** Nothing more is wanted. */
  cancel() {
    this.ended = true;
    this.wake();
    this.reader?.cancel().catch(() => {});
  }

  async read() {
    try {
      // Without streams, all of it comes at once.
      if (!this.reader) this.add(new Uint8Array(await unlessAborted(this.answer.arrayBuffer(), this.silence.signal)));
      while (this.reader && !this.ended) {
        const { done, value } = await unlessAborted(this.reader.read(), this.silence.signal);
        if (done) break;
        this.silence.heard();
        this.add(value);
        while (this.size > AHEAD && !this.ended) await this.change();
      }
    } catch (error) {
      this.error = error;
    }
    this.ended = true;
    this.wake();
  }

  /** @param {Uint8Array} chunk */
  add(chunk) {
    this.chunks.push(chunk);
    this.size += chunk.length;
    this.wake();
  }

  /** @returns {Promise<void>} */
  change() {
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  wake() {
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}
