/**
 * Makes an error of whatever was thrown.
 *
 * @param {unknown} error
 * @param {Reason} code What it is if nothing is known about it.
 * @param {string} what What failed.
 * @returns {SeedbedError}
 */
export function asSeedbedError(error: unknown, code: Reason, what: string): SeedbedError;
/** @param {unknown} error */
export function messageOf(error: unknown): string;
/** A first launch without a snapshot. The message is for logs, and has neither a token nor a signed URL in it. */
export class SeedbedError extends Error {
    /**
     * @param {Reason} code
     * @param {string} message
     * @param {{ cause?: unknown, retryAfter?: number }} [more] `retryAfter`: milliseconds, if the server says so.
     */
    constructor(code: Reason, message: string, { cause, retryAfter }?: {
        cause?: unknown;
        retryAfter?: number;
    });
    code: Reason;
    retryAfter: number | undefined;
    /** Whether it may pass by itself. */
    get passes(): boolean;
}
/**
 * Why the database that is there is used as it is.
 */
export type Kept = "synced" | "local_writes" | "local_rows" | "cleared_softly" | "unreadable" | "in_use";
/**
 * Why no snapshot was installed.
 */
export type Reason = "offline" | "no_token" | "unauthorized" | "wrong_store" | "downloads_disabled" | "no_snapshot" | "too_old" | "busy" | "being_seeded" | "server_error" | "bad_answer" | "wrong_service" | "wrong_generation" | "newer_core" | "unknown_finish" | "encrypted" | "disk_full" | "stalled" | "cut" | "expired" | "corrupt" | "not_openable" | "cancelled";
