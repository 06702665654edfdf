/** Brings all bytes of a rendition into the part, over as many requests as it takes. Rule 6 of CONTRACT.md. */

import { Silence, pause, reasonOf, unlessAborted } from '../clock.js';
import { Body } from './body.js';
import { SeedbedError, asSeedbedError } from '../reasons.js';

/**
 * @typedef {object} Download
 * @property {import('../platform.js').Platform} platform
 * @property {string} part
 * @property {import('./ask.js').Rendition} rendition
 * @property {string} databaseUrl
 * @property {import('../platform.js').Encoding} [packed] What `fetch` unpacks: nothing can be asked for but the whole.
 * @property {Body} [content] The bytes, from the first on, if they come with the answer.
 * @property {string | undefined} etag Of an earlier request for the same bytes.
 * @property {number} silenceLimit Milliseconds.
 * @property {AbortSignal} signal
 * @property {() => Promise<import('./ask.js').Snapshot>} renew A new URL of the same rendition; throws if there is another one now.
 * @property {() => Promise<import('./ask.js').Snapshot | undefined>} plain The same bytes without an encoding, if they can be had.
 * @property {(etag: string) => Promise<void>} onEtag The bytes have this strong ETag.
 * @property {(bytes: number) => void} onBytes How many are there now.
 */

/**
 * @typedef {object} Received
 * @property {number} bytes That came over the network.
 * @property {number} resumes
 */

/** Requests in a row that bring nothing new. */
const FRUITLESS = 4;

/** The first pause after such a request is this part of the silence limit. */
const PAUSES = 30;

/** Bytes to ask for at least, where there are no streams. */
const SMALLEST = 16 * 1024;

/** URLs in a row that are refused. */
const REFUSED = 3;

/**
 * @param {Download} download
 * @returns {Promise<Received>}
 * @throws {SeedbedError} `stalled`, `cut`, `expired`, `server_error`, `corrupt`, `disk_full`, `cancelled`.
 */
export async function downloadAll(download) {
  const { platform, part, rendition, signal } = download;
  let { databaseUrl, packed, etag, content } = download;
  let size = (await platform.files.size(part)) ?? 0;
  if (size > 0) {
    // What there is goes on from the URL.
    content?.cancel();
    content = undefined;
  }
  const received = { bytes: 0, resumes: 0 };
  // The most there ever was: a server without ranges starts anew each time, and that is no progress.
  let [most, fruitless, refused] = [size, 0, 0];
  let { chunk } = platform;
  let interrupted = size > 0;
  while (size < rendition.bytes) {
    if (signal.aborted) throw reasonOf(signal);
    if (interrupted) received.resumes++;
    if (packed && size > 0) ({ databaseUrl, packed } = (await download.plain()) ?? { databaseUrl, packed });
    const end = await request(download, databaseUrl, { size: packed ? 0 : size, etag, chunk, content });
    content = undefined;
    received.bytes += end.bytes;
    etag = end.etag ?? etag;
    size = (await platform.files.size(part)) ?? 0;
    if (end.error && !end.error.passes) throw end.error;
    // The end of a piece that was asked for is none of the connection.
    interrupted = !chunk || Boolean(end.error ?? end.refused);
    if (size > most) {
      [most, fruitless, refused] = [size, 0, 0];
      chunk = chunk && Math.min(2 * chunk, platform.chunk ?? chunk);
    } else if (end.refused) {
      if (++refused === REFUSED) throw new SeedbedError('expired', 'the URL of the snapshot is refused again and again');
      ({ databaseUrl, packed } = await download.renew());
    } else {
      // Where an answer comes as a whole or not at all, a bad connection may still bring a smaller one.
      chunk = chunk && Math.max(SMALLEST, chunk / 4);
      if (++fruitless === FRUITLESS) throw end.error ?? new SeedbedError('cut', `the snapshot ended after ${size} of ${rendition.bytes} bytes`);
      await pause(end.error?.retryAfter ?? (download.silenceLimit / PAUSES) * 2 ** (fruitless - 1), signal);
    }
  }
  return received;
}

/**
 * What has become of a request.
 *
 * @typedef {object} End
 * @property {number} bytes That it has brought.
 * @property {string} [etag]
 * @property {boolean} [refused] The URL is refused: it has expired.
 * @property {SeedbedError} [error] Why it ended early. One that does not pass ends the download.
 */

/**
 * @param {Download} download
 * @param {string} url
 * @param {{ size: number, etag: string | undefined, chunk: number | undefined, content: Body | undefined }} from `size`: bytes that are
 *   there. `content`: is on its way already.
 * @returns {Promise<End>}
 */
async function request(download, url, { content, ...from }) {
  const { signal, silenceLimit } = download;
  const silence = new Silence(silenceLimit, signal);
  /** @type {End} */
  const end = { bytes: 0 };
  try {
    // It has begun to come before this silence was looked after.
    const next = content && (() => unlessAborted(content.next(), silence.signal));
    const opened = content ? { body: content, offset: 0 } : await open(download, url, from, silence);
    if (!('body' in opened)) return { ...end, ...opened };
    end.etag = opened.etag;
    await store(download, opened, next ?? (() => opened.body.next()), (bytes) => {
      silence.heard();
      end.bytes += bytes;
    });
  } catch (error) {
    if (signal.aborted) throw reasonOf(signal);
    end.error = silence.stalled
      ? /** @type {SeedbedError} */ (silence.signal.reason)
      : asSeedbedError(error, 'cut', 'the download broke off');
    // Nothing that comes next would be right.
    if (['corrupt', 'disk_full'].includes(end.error.code)) throw end.error;
  } finally {
    silence.end();
  }
  return end;
}

/**
 * Asks for the bytes from `size` on.
 *
 * @param {Download} download
 * @param {string} url
 * @param {{ size: number, etag: string | undefined, chunk: number | undefined }} from
 * @param {Silence} silence
 * @returns {Promise<{ body: Body, offset: number, etag?: string } | Pick<End, 'refused' | 'error'>>}
 */
async function open({ platform, rendition, onEtag }, url, { size, etag, chunk }, silence) {
  const headers = headersFor(size, etag, chunk);
  const answer = await unlessAborted(platform.fetch(url, { headers, signal: silence.signal }), silence.signal);
  silence.heard();
  const offset = offsetOf(answer, size, rendition.bytes);
  if (typeof offset !== 'number') {
    await answer.body?.cancel().catch(() => {});
    return offset;
  }
  const body = new Body(answer, silence);
  // Written before the bytes, so that it is there when they are.
  const strong = strongEtag(answer);
  if (strong && strong !== etag) await onEtag(strong);
  return { body, offset, etag: strong };
}

/**
 * Writes what comes into the part.
 *
 * @param {Download} download
 * @param {{ body: Body, offset: number }} opened
 * @param {() => Promise<Uint8Array | undefined>} next
 * @param {(bytes: number) => void} onPiece
 */
async function store({ platform, part, rendition, onBytes }, { body, offset }, next, onPiece) {
  const sink = await platform.files.append(part, offset);
  let there = offset;
  try {
    for (let piece = await next(); piece; piece = await next()) {
      there += piece.length;
      if (there > rendition.bytes) {
        throw new SeedbedError('corrupt', `the snapshot has more than its ${rendition.bytes} bytes`);
      }
      onPiece(piece.length);
      await sink.write(piece);
      onBytes(there);
    }
  } finally {
    body.cancel();
    await sink.close();
  }
}

/**
 * @param {number} size
 * @param {string | undefined} etag
 * @param {number | undefined} chunk
 */
function headersFor(size, etag, chunk) {
  // The URL is its own authorization: a token in addition to the signature makes S3 refuse it.
  /** @type {Record<string, string>} */
  const headers = { 'accept-encoding': 'identity' };
  if (size > 0 || chunk) headers.range = `bytes=${size}-${chunk ? size + chunk - 1 : ''}`;
  if (size > 0 && etag) headers['if-range'] = etag;
  return headers;
}

/**
 * Where the bytes of the answer begin, or what else it means.
 *
 * @param {Response} answer
 * @param {number} size
 * @param {number} bytes
 * @returns {number | { refused?: boolean, error?: SeedbedError }}
 */
function offsetOf(answer, size, bytes) {
  const { status } = answer;
  if (status === 200) return 0;
  const range = /^bytes (\d+)-\d*\/(\d+|\*)/.exec(answer.headers.get('content-range') ?? '');
  if (status === 206 && range && Number(range[1]) === size && ['*', String(bytes)].includes(range[2])) return size;
  const error = (/** @type {import('../reasons.js').Reason} */ code, /** @type {number} */ retryAfter = NaN) => ({
    error: new SeedbedError(code, `the snapshot cannot be downloaded: ${status}`, retryAfter >= 0 ? { retryAfter } : {})
  });
  // Another object than the one that was promised, shorter or longer.
  if (status === 206 || status === 416) throw error('corrupt').error;
  if ([401, 403, 404, 410].includes(status)) return { refused: true };
  return error('server_error', Number(answer.headers.get('retry-after') ?? NaN) * 1000);
}

/** @param {Response} answer */
function strongEtag(answer) {
  const etag = answer.headers.get('etag');
  return etag?.startsWith('"') ? etag : undefined;
}
