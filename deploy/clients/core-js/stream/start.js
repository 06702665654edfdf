/** `GET /start`: whether a store's stream can be had from Seedbed now. Rule 14 of CONTRACT.md. */

import { messageOf } from '../reasons.js';
import { reasonOf } from '../snapshot/ask.js';

/**
 * @typedef {object} Start
 * @property {string | undefined} endpoint For the SDK's credentials, if Seedbed has a stream for the device.
 * @property {string} reason In a word, for logs.
 * @property {import('../reasons.js').Reason} code Why it has not.
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
 * @param {{ storeId: string, token: string, generation?: string, limit: number }} device `generation`: the newest that it has positions
 *   of. `limit`: milliseconds.
 * @returns {Promise<Start>}
 */
export async function askStart(fetch, endpoint, { storeId, token, generation, limit }) {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), limit);
  try {
    const known = generation === undefined ? '' : `&generation=${encodeURIComponent(generation)}`;
    const answer = await fetch(`${endpoint}/start?store_id=${encodeURIComponent(storeId)}${known}`, {
      headers: { authorization: `Bearer ${token}` },
      signal: controller.signal
    });
    /** @type {any} */
    const body = await answer.json().catch(() => ({}));
    if (answer.status !== 200) return elsewhere(`${answer.status} ${body?.error ?? ''}`.trimEnd(), reasonOf(answer.status, body?.error));
    const why = String(body?.why ?? 'bad_answer');
    if (body?.from !== 'seedbed') return elsewhere(why, why === 'snapshot_too_old' ? 'too_old' : 'no_snapshot');
    return { endpoint: String(body.endpoint ?? endpoint).replace(/\/+$/, ''), reason: why, code: 'no_snapshot' };
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
  return { endpoint: undefined, reason, code };
}
