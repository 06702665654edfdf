/** A Seedbed that hands out snapshots as `seedbed serve` does, or as badly as a test wants. */

import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { allowAll } from './powersync.js';
import { renditions as healthy } from '../service.js';

/** Where nobody answers: below what the system gives to servers, and a port that browsers ask, unlike the first hundreds. */
export const NOBODY = 'http://127.0.0.1:1025/database';

/** Bytes that are written at a time. */
const PIECE = 16 * 1024;

/**
 * @typedef {object} Faults
 * @property {any[]} [answers] What to say to the first questions: `{ status, error, retryAfter }`, or `'silence'`.
 * @property {any[]} [downloads] What to do with the first downloads: `{ cut: N }` and `{ stall: N }` after N bytes of the
 *   body, `{ status, retryAfter }`, `{ early: N }` ends properly N bytes too early, `{ flip: true }`, `{ longer: true }`,
 *   `{ shorter: true }` promises a length that is not kept, `{ expireAfter: N }`.
 * @property {boolean} [ever] Whether the last of `downloads` goes on for ever.
 * @property {boolean} [ranges] Whether ranges are served.
 * @property {boolean} [inline] Whether snapshots are sent along with the answer, as small ones are; `downloads` is about these too.
 * @property {boolean} [older] A server that knows neither `form` nor several encodings, nor anything newer.
 * @property {(answer: any) => any} [change] Changes the answer.
 * @property {boolean} [transcoded] Something on the way unpacks what is compressed.
 * @property {number} [pace] Milliseconds between two pieces of 16 KiB.
 * @property {Record<string, Buffer>} [renditions]
 * @property {import('./stream.js').Stream} [stream] What answers `/start` and `/sync/stream`.
 */

/**
 * Serves until the test ends.
 *
 * @param {Faults} [faults]
 */
export async function seedbed(t, faults = {}) {
  const server = new Seedbed(faults);
  await server.start();
  t.after(() => server.stop());
  return server;
}

class Seedbed {
  constructor(faults) {
    Object.assign(this, { answers: [], downloads: [], ranges: true, renditions: healthy, ...faults });
    this.answers = [...this.answers];
    this.downloads = [...this.downloads];
    /** Each question's parameters. */
    this.questions = [];
    /** Each download: `range`, `from` and the bytes that were `sent`. */
    this.served = [];
    /** Signatures up to this one have expired. */
    this.expired = 0;
    this.signature = 0;
    this.server = createServer((request, response) => this.serve(request, response));
  }

  get url() {
    return `${this.address}/database`;
  }

  get address() {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Bytes that were sent in all. */
  get sent() {
    return this.served.reduce((sum, { sent }) => sum + sent, 0);
  }

  async start() {
    await new Promise((resolve) => this.server.listen(this.port ?? 0, '127.0.0.1', resolve));
    this.port = this.server.address().port;
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  serve(request, response) {
    const url = new URL(request.url, this.address);
    // As for the browsers of an app that is elsewhere.
    allowAll(response);
    if (request.method === 'OPTIONS') return response.writeHead(204).end();
    if (url.pathname === '/database') this.answer(request, response, url.searchParams);
    else if (url.pathname.startsWith('/objects/')) this.send(request, response, url);
    else if (this.stream) this.stream.serve(request, response, url);
    else response.writeHead(404).end();
  }

  answer(request, response, parameters) {
    this.questions.push(Object.fromEntries(parameters));
    const json = (status, body, headers = {}) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(JSON.stringify(body));
    };
    const refuse = (status, error) => json(status, { error, message: 'as the test wants it' });
    const next = this.answers.shift();
    if (next === 'silence') return;
    if (next?.body) return json(200, next.body);
    if (next) {
      const headers = next.retryAfter === undefined ? {} : { 'retry-after': String(next.retryAfter) };
      return json(next.status, { error: next.error, message: 'as the test wants it' }, headers);
    }
    const store = storeOf(request.headers.authorization);
    if (!store) return refuse(401, 'no_token');
    if (store !== parameters.get('store_id')) return refuse(403, 'wrong_store');
    if (this.older && (['form', 'core', 'inline'].some((name) => parameters.has(name)) || parameters.get('encoding')?.includes(','))) {
      return refuse(400, 'bad_request');
    }
    const form = parameters.get('form') ?? 'file';
    const encodings = (parameters.get('encoding') ?? 'identity').split(',');
    const encoding = encodings.find((encoding) => this.renditions[`${form}/${encoding}`]);
    if (!encoding) return refuse(404, 'no_such_encoding');
    const body = this.renditions[`${form}/${encoding}`];
    const described = {
      databaseUrl: `${this.address}/objects/${form}/${encoding}?signature=${++this.signature}`,
      bytes: body.length,
      sha256: sha256(body),
      encoding
    };
    if (!this.older) {
      const key = this.renditions[`${form}/${encoding}`].key;
      // A sealed one is opened as it is stored.
      const unpacked = key ? body : this.renditions[`${form}/identity`];
      if (key) described.key = key;
      Object.assign(described, { form, unpackedBytes: unpacked.length, unpackedSha256: sha256(unpacked) });
      if (form === 'compact') described.finish = 1;
    }
    const answer = this.changed(described);
    if (!this.inline || body.length > Number(parameters.get('inline') ?? 0)) return json(200, answer);
    const record = { inline: true, from: 0, sent: 0 };
    this.served.push(record);
    const fault = this.downloads.shift() ?? {};
    const line = Buffer.from(`${JSON.stringify(answer)}\n`);
    const content = fault.flip ? flipped(body) : body;
    response.writeHead(200, { 'content-type': 'application/vnd.seedbed.database', 'content-length': line.length + content.length });
    response.write(line);
    void this.pour(content, fault, response, record, this.signature);
  }

  /** What becomes of an answer in the test. */
  changed(described) {
    const change = this.change;
    return change ? change(described) : described;
  }

  async send(request, response, url) {
    const path = url.pathname.slice('/objects/'.length);
    const body = this.renditions[this.transcoded ? path.replace('gzip', 'identity') : path];
    const record = { range: request.headers.range, from: 0, sent: 0, authorization: request.headers.authorization };
    this.served.push(record);
    const fault = (this.ever && this.downloads.length === 1 ? this.downloads[0] : this.downloads.shift()) ?? {};
    if (Number(url.searchParams.get('signature')) <= this.expired) return response.writeHead(403).end();
    if (fault.status) {
      return response.writeHead(fault.status, fault.retryAfter === undefined ? {} : { 'retry-after': String(fault.retryAfter) }).end();
    }
    const etag = `"${sha256(body).slice(0, 32)}"`;
    const range = /^bytes=(\d+)-(\d*)$/.exec(this.ranges ? (request.headers.range ?? '') : '');
    const same = [undefined, etag].includes(request.headers['if-range']);
    const partial = range && same;
    const from = partial ? Number(range[1]) : 0;
    if (partial && from >= body.length) return response.writeHead(416, { 'content-range': `bytes */${body.length}` }).end();
    const to = partial && range[2] ? Math.min(Number(range[2]) + 1, body.length) : body.length;
    let content = body.subarray(from, to);
    if (fault.flip) content = flipped(content);
    if (fault.longer) content = Buffer.concat([content, Buffer.from('!')]);
    if (fault.early) content = content.subarray(0, -fault.early);
    record.from = from;
    const headers = { 'content-length': content.length + (fault.shorter ? 1000 : 0), etag };
    // As object storage and `seedbed serve` have it, for this form alone: some HTTP libraries unpack by themselves then.
    if (path === 'file/gzip' && !this.transcoded) headers['content-encoding'] = 'gzip';
    if (partial) headers['content-range'] = `bytes ${from}-${to - 1}/${body.length}`;
    response.writeHead(partial ? 206 : 200, headers);
    await this.pour(content, fault, response, record, Number(url.searchParams.get('signature')));
  }

  async pour(content, fault, response, record, signature) {
    const end = fault.cut ?? fault.stall ?? fault.expireAfter ?? content.length;
    for (let at = 0; at < end && !response.destroyed; at += PIECE) {
      const piece = content.subarray(at, Math.min(at + PIECE, end));
      if (!response.write(piece)) await new Promise((resolve) => response.once('drain', resolve).once('close', resolve));
      record.sent += piece.length;
      if (this.pace) await new Promise((resolve) => setTimeout(resolve, this.pace));
    }
    if (fault.stall !== undefined) return;
    if (fault.expireAfter !== undefined) this.expired = signature;
    if (fault.cut !== undefined || fault.expireAfter !== undefined || fault.shorter) {
      // What was written arrives; then the connection is closed.
      return response.socket?.destroySoon();
    }
    response.end();
  }
}

export function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

function flipped(bytes) {
  const other = Buffer.from(bytes);
  other[Math.floor(other.length / 2)] ^= 1;
  return other;
}

/** The store that the claims of a bearer token name. */
export function storeOf(authorization) {
  const claims = authorization?.split('.')[1];
  return claims && JSON.parse(Buffer.from(claims, 'base64url')).store_id;
}
