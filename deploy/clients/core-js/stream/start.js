/** `GET /start`: whether a store's stream can be had from Seedbed now. Rule 14 of CONTRACT.md. */

import { messageOf } from '../reasons.js';
import { reasonOf } from '../snapshot/ask.js';

/**
 * @typedef {object} Start
 * @property {boolean} here Whether Seedbed has the stream.
 * @property {string} reason For logs.
 * @property {import('../reasons.js').Reason} code Why it has not.
 * @property {string | undefined} generation Of the snapshot.
 */

/**
 * Where Seedbed answers, without a path of its own: an SDK adds `/sync/stream`.
 *
 * @param {string} url Of `GET /database`, as in the other options of a package, or without that path.
 */
export function endpointOf(url) {
  return url.replace(/\/+(database\/*)?$/, '').replace(/\/database$/, '');
}

/**
 * Asks once, and answers whatever happens: without an answer, PowerSync is the place to go.
 *
 * @param {typeof globalThis.fetch} fetch
 * @param {string} endpoint
 * @param {string} storeId
 * @param {string} token
 * @param {number} limit Milliseconds.
 * @returns {Promise<Start>}
 */
export async function askStart(fetch, endpoint, storeId, token, limit) {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), limit);
  try {
    const answer = await fetch(`${endpoint}/start?store_id=${encodeURIComponent(storeId)}`, {
      headers: { authorization: `Bearer ${token}` },
      signal: controller.signal
    });
    /** @type {any} */
    const body = await answer.json().catch(() => ({}));
    if (answer.status !== 200) return elsewhere(`${answer.status} ${body?.error ?? ''}`.trimEnd(), reasonOf(answer.status, body?.error));
    const { endpoint: where, reason, generation } = body;
    return {
      here: where === 'seedbed',
      reason: String(reason ?? where),
      code: 'no_snapshot',
      generation: generation == null ? undefined : String(generation)
    };
  } catch (error) {
    return controller.signal.aborted ? elsewhere('no answer in time', 'stalled') : elsewhere(messageOf(error), 'offline');
  } finally {
    clearTimeout(timer);
  }
}

/**
 * @param {string} reason
 * @param {import('../reasons.js').Reason} code
 * @returns {Start}
 */
function elsewhere(reason, code) {
  return { here: false, reason, code, generation: undefined };
}
