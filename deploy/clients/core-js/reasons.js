/** Why a launch does not use a snapshot: fixed words, for apps, logs and reports. */

/**
 * @typedef {'synced' | 'local_writes' | 'local_rows' | 'cleared_softly' | 'unreadable' | 'in_use'} Kept
 * Why the database that is there is used as it is.
 */

/**
 * @typedef {'offline' | 'no_token' | 'unauthorized' | 'wrong_store' | 'downloads_disabled' | 'no_snapshot' | 'too_old'
 *   | 'busy' | 'being_seeded' | 'server_error' | 'bad_answer' | 'wrong_service' | 'wrong_generation' | 'newer_core'
 *   | 'unknown_finish' | 'encrypted' | 'disk_full' | 'stalled' | 'cut' | 'expired' | 'corrupt' | 'not_openable'
 *   | 'cancelled'} Reason
 * Why no snapshot was installed.
 */

/** The reasons that last: asking again changes nothing until a person, or another version of the app, does. */
const LASTING = new Set([
  'unauthorized',
  'wrong_store',
  'downloads_disabled',
  'wrong_service',
  'wrong_generation',
  'newer_core',
  'unknown_finish',
  'encrypted',
  'bad_answer',
  'not_openable',
  'cancelled'
]);

/** A first launch without a snapshot. The message is for logs, and has neither a token nor a signed URL in it. */
export class SeedbedError extends Error {
  /**
   * @param {Reason} code
   * @param {string} message
   * @param {{ cause?: unknown, retryAfter?: number }} [more] `retryAfter`: milliseconds, if the server says so.
   */
  constructor(code, message, { cause, retryAfter } = {}) {
    super(message, { cause });
    this.name = 'SeedbedError';
    this.code = code;
    this.retryAfter = retryAfter;
  }

  /** Whether it may pass by itself. */
  get passes() {
    return !LASTING.has(this.code);
  }
}

/**
 * Makes an error of whatever was thrown.
 *
 * @param {unknown} error
 * @param {Reason} code What it is if nothing is known about it.
 * @param {string} what What failed.
 * @returns {SeedbedError}
 */
export function asSeedbedError(error, code, what) {
  if (error instanceof SeedbedError) return error;
  if (isDiskFull(error)) return new SeedbedError('disk_full', `${what}: the disk is full`, { cause: error });
  return new SeedbedError(code, `${what}: ${messageOf(error)}`, { cause: error });
}

/** @param {unknown} error */
export function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/** @param {unknown} error */
function isDiskFull(error) {
  const { code, message } = /** @type {{ code?: unknown, message?: unknown }} */ (error ?? {});
  return code === 'ENOSPC' || code === 'EDQUOT' || /no space left|disk is full|ENOSPC/i.test(String(message));
}
