/** Time limits and pauses that can be cancelled, with nothing but timers: React Native has no `AbortSignal.any`. */

import { SeedbedError } from './reasons.js';

/**
 * Waits, unless the signal is aborted before.
 *
 * @param {number} milliseconds
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      if (signal.aborted) reject(reasonOf(signal));
      else resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
}

/**
 * What an aborted signal was aborted with, as an error of this package.
 *
 * @param {AbortSignal} signal
 */
export function reasonOf(signal) {
  const { reason } = signal;
  return reason instanceof SeedbedError ? reason : new SeedbedError('cancelled', 'the launch was cancelled', { cause: reason });
}

/**
 * A signal that follows another one, and is aborted by itself when nothing happens for a while.
 */
export class Silence {
  /**
   * @param {number} limit Milliseconds.
   * @param {AbortSignal} outer
   */
  constructor(limit, outer) {
    this.limit = limit;
    this.outer = outer;
    /** Whether it was the silence that ended it. */
    this.stalled = false;
    this.controller = new AbortController();
    this.follow = () => this.controller.abort(outer.reason);
    outer.addEventListener('abort', this.follow);
    if (outer.aborted) this.follow();
    /** When something happened last, by the clock that is never set. */
    this.last = performance.now();
    this.wait(limit);
  }

  get signal() {
    return this.controller.signal;
  }

  /** Something has happened: the wait begins anew. It is said for each piece of a download, so it sets no timer. */
  heard() {
    this.last = performance.now();
  }

  /** @param {number} left Milliseconds to the end of the wait. */
  wait(left) {
    this.timer = setTimeout(() => {
      const silent = performance.now() - this.last;
      if (silent < this.limit) return this.wait(this.limit - silent);
      this.stalled = true;
      this.controller.abort(new SeedbedError('stalled', `nothing came for ${this.limit / 1000} s (timeout)`));
    }, left);
  }

  end() {
    clearTimeout(this.timer);
    this.outer.removeEventListener('abort', this.follow);
  }
}

/**
 * Settles with `work`, or rejects as soon as the signal is aborted: some implementations of `fetch` do not look at it.
 *
 * @template T
 * @param {Promise<T>} work
 * @param {AbortSignal} signal
 * @returns {Promise<T>}
 */
export function unlessAborted(work, signal) {
  return new Promise((resolve, reject) => {
    const aborted = () => reject(reasonOf(signal));
    signal.addEventListener('abort', aborted);
    if (signal.aborted) aborted();
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted));
  });
}

/**
 * Aborts when the app does, or after the `timeLimit`.
 *
 * @param {{ signal?: AbortSignal, timeLimit?: number }} source
 */
export function cancelling({ signal, timeLimit }) {
  const controller = new AbortController();
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
