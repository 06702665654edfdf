/**
 * `fetch` as far as a launch needs it, by `node:http`: Node's own unpacks what the answer calls gzip, and then neither a
 * range nor a hash is that of the bytes as they are stored.
 */

import { request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import { Readable } from 'node:stream';

/** As many as Seedbed itself follows. */
const REDIRECTS = 3;

/** @type {typeof globalThis.fetch} */
export async function fetchStored(input, { method = 'GET', headers, body, signal } = {}) {
  let url = new URL(String(input));
  for (let redirects = 0; ; redirects++) {
    const answer = await ask(url, { method, headers: /** @type {any} */ (headers), signal: signal ?? undefined }, body);
    const { statusCode: status = 0, headers: fields } = answer;
    const next = [301, 302, 303, 307, 308].includes(status) ? fields.location : undefined;
    if (next === undefined || method !== 'GET') return responseOf(answer, status);
    answer.destroy();
    if (redirects === REDIRECTS) throw new TypeError('too many redirects');
    const to = new URL(next, url);
    // A token is for the server that it was given for.
    if (to.origin !== url.origin) headers = without(headers, 'authorization');
    url = to;
  }
}

/**
 * @param {URL} url
 * @param {import('node:http').RequestOptions} options
 * @param {any} body
 * @returns {Promise<import('node:http').IncomingMessage>}
 */
function ask(url, options, body) {
  return new Promise((resolve, reject) => {
    const send = url.protocol === 'https:' ? requestTls : requestPlain;
    const request = send(url, options, resolve);
    request.on('error', reject);
    request.end(body ?? undefined);
  });
}

/**
 * @param {import('node:http').IncomingMessage} answer
 * @param {number} status
 */
function responseOf(answer, status) {
  // An answer that is never read must not end the process when its connection breaks.
  answer.on('error', () => {});
  const fields = Object.entries(answer.headersDistinct).flatMap(([name, values = []]) => values.map((value) => [name, value]));
  const empty = [204, 205, 304].includes(status);
  const body = empty ? null : /** @type {any} */ (Readable.toWeb(answer));
  return new Response(body, { status, headers: /** @type {[string, string][]} */ (fields) });
}

/**
 * @param {any} headers
 * @param {string} name
 */
function without(headers, name) {
  return Object.fromEntries(Object.entries(headers ?? {}).filter(([key]) => key.toLowerCase() !== name));
}
