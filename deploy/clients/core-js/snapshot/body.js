/**
 * The body of an answer, read ahead: when a connection is lost, a stream forgets what has arrived and was not read yet, and
 * it would have to be downloaded again. It is handed on in larger pieces than it comes in: a slow link brings kilobytes at a
 * time, and what is done with each piece costs a device more than the bytes do.
 */

import { reasonOf, unlessAborted } from '../clock.js';

/** Bytes that are read ahead. */
const AHEAD = 512 * 1024;

/** Bytes that are handed on at a time, or what there is after so many milliseconds: a killed process has lost no more. */
const PIECE = 128 * 1024;
const LATEST = 200;

export class Body {
  /**
   * Starts reading.
   *
   * @param {{ body?: any, arrayBuffer?: () => Promise<ArrayBuffer> }} answer
   * @param {{ signal: AbortSignal, heard: () => void }} [silence] Ends it early. Without, who waits for the next piece looks after that.
   */
  constructor(answer, silence = { signal: new AbortController().signal, heard: () => {} }) {
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
    /** Whether what there is has waited for long enough. */
    this.due = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.reader = answer.body?.getReader?.();
    // Some implementations of `fetch` do not look at the signal.
    this.abort = () => this.end(reasonOf(silence.signal));
    silence.signal.addEventListener('abort', this.abort);
    if (silence.signal.aborted) this.abort();
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
      if (this.size >= PIECE || (this.size > 0 && (this.due || this.ended))) return this.take();
      if (this.error) throw this.error;
      if (this.ended) return undefined;
      await this.change();
    }
  }

  /** All that there is, in one piece. */
  take() {
    const { chunks, size } = this;
    [this.chunks, this.size, this.due] = [[], 0, false];
    clearTimeout(this.timer);
    this.timer = undefined;
    this.wake();
    if (chunks.length === 1) return chunks[0];
    const piece = new Uint8Array(size);
    let at = 0;
    for (const chunk of chunks) {
      piece.set(chunk, at);
      at += chunk.length;
    }
    return piece;
  }

  /** Nothing more is wanted. */
  cancel() {
    this.end();
    clearTimeout(this.timer);
    this.reader?.cancel().catch(() => {});
  }

  async read() {
    try {
      // Without streams, all of it comes at once.
      if (!this.reader) this.add(new Uint8Array(await unlessAborted(/** @type {any} */ (this.answer).arrayBuffer(), this.silence.signal)));
      while (this.reader && !this.ended) {
        const { done, value } = await this.reader.read();
        if (done || this.ended) break;
        this.silence.heard();
        this.add(value);
        while (this.size > AHEAD && !this.ended) await this.change();
      }
      this.end();
    } catch (error) {
      this.end(error);
    }
  }

  /** @param {Uint8Array} chunk */
  add(chunk) {
    this.chunks.push(chunk);
    this.size += chunk.length;
    if (this.size >= PIECE) return this.wake();
    this.timer ??= setTimeout(() => {
      this.due = true;
      this.wake();
    }, LATEST);
  }

  /**
   * Nothing more comes.
   *
   * @param {unknown} [error] Why, if it is not all. The first one counts.
   */
  end(error) {
    if (!this.ended) this.error = error;
    this.ended = true;
    this.silence.signal.removeEventListener('abort', this.abort);
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
