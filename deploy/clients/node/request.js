/**
 * `fetch` as far as a launch needs it, by `node:http`: Node's own unpacks what the answer calls gzip, and then neither a
 * range nor a hash is that of the bytes as they are stored.
 */

import { request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';

/** As many as Seedbed itself follows. */
const REDIRECTS = 3;

/**
 * Milliseconds in which what arrives is put together, unless it is more than that, or all: a slow link brings a kilobyte or two
 * at a time, and a web stream's work for each costs more than its bytes.
 */
const TOGETHER = 20;
const ENOUGH = 64 * 1024;

/** Bytes that are held for whoever reads, at most. */
const MOST = 1024 * 1024;

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
  const body = bodyOf(answer);
  const fields = Object.entries(answer.headersDistinct).flatMap(([name, values = []]) => values.map((value) => [name, value]));
  const empty = [204, 205, 304].includes(status);
  return new Response(empty ? null : body, { status, headers: /** @type {[string, string][]} */ (fields) });
}

/**
 * The body. What has arrived before a connection was lost is still read.
 *
 * @param {import('node:http').IncomingMessage} answer
 * @returns {ReadableStream<Uint8Array>}
 */
function bodyOf(answer) {
  /** @type {Buffer[]} */
  let chunks = [];
  let size = 0;
  let ended = false;
  /** @type {unknown} */
  let error;
  let arrived = () => {};
  let enough = () => {};
  answer.on('data', (chunk) => {
    chunks.push(chunk);
    size += chunk.length;
    arrived();
    if (size >= ENOUGH) enough();
    if (size > MOST) answer.pause();
  });
  // An answer that is never read must not end the process when its connection breaks.
  answer.on('error', (reason) => (error ??= reason));
  answer.on('close', () => {
    if (!answer.complete) error ??= new Error('the connection was closed');
    ended = true;
    arrived();
    enough();
  });
  const pull = async (/** @type {ReadableStreamDefaultController<Uint8Array>} */ controller) => {
    if (size === 0 && !ended) await /** @type {Promise<void>} */ (new Promise((resolve) => (arrived = resolve)));
    if (size < ENOUGH && !ended) await within(TOGETHER, (resolve) => (enough = resolve));
    if (size > 0) {
      controller.enqueue(Buffer.concat(chunks, size));
      [chunks, size] = [[], 0];
      answer.resume();
    } else if (error) {
      controller.error(error);
    } else {
      controller.close();
    }
  };
  return new ReadableStream({ pull, cancel: () => void answer.destroy() }, { highWaterMark: 0 });
}

/**
 * Waits until `resolve` is called, or until the time is over.
 *
 * @param {number} milliseconds
 * @param {(resolve: () => void) => void} give
 * @returns {Promise<void>}
 */
function within(milliseconds, give) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    give(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/**
 * @param {any} headers
 * @param {string} name
 */
function without(headers, name) {
  return Object.fromEntries(Object.entries(headers ?? {}).filter(([key]) => key.toLowerCase() !== name));
}
