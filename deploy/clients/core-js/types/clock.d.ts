/**
 * Waits, unless the signal is aborted before.
 *
 * @param {number} milliseconds
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void>;
/**
 * What an aborted signal was aborted with, as an error of this package.
 *
 * @param {AbortSignal} signal
 */
export function reasonOf(signal: AbortSignal): SeedbedError;
/**
 * Settles with `work`, or rejects as soon as the signal is aborted: some implementations of `fetch` do not look at it.
 *
 * @template T
 * @param {Promise<T>} work
 * @param {AbortSignal} signal
 * @returns {Promise<T>}
 */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T>;
/**
 * Aborts when the app does, or after the `timeLimit`.
 *
 * @param {{ signal?: AbortSignal, timeLimit?: number }} source
 */
export function cancelling({ signal, timeLimit }: {
    signal?: AbortSignal;
    timeLimit?: number;
}): {
    signal: AbortSignal;
    end: () => void;
};
/**
 * A signal that follows another one, and is aborted by itself when nothing happens for a while.
 */
export class Silence {
    /**
     * @param {number} limit Milliseconds.
     * @param {AbortSignal} outer
     */
    constructor(limit: number, outer: AbortSignal);
    limit: number;
    outer: AbortSignal;
    /** Whether it was the silence that ended it. */
    stalled: boolean;
    controller: AbortController;
    follow: () => void;
    /** When something happened last, by the clock that is never set. */
    last: number;
    get signal(): AbortSignal;
    /** Something has happened: the wait begins anew. It is said for each piece of a download, so it sets no timer. */
    heard(): void;
    /** @param {number} left Milliseconds to the end of the wait. */
    wait(left: number): void;
    timer: number | undefined;
    end(): void;
}
import { SeedbedError } from './reasons.js';
