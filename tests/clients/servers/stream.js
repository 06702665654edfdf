/** A snapshot as a stream, as `seedbed serve` hands it out, or as badly as a test wants. */

import { DatabaseSync } from 'node:sqlite';
import { storeOf } from './seedbed.js';
import { STORE, setUp } from '../service.js';

/** Operations of a line, as PowerSync's service has it. */
const LINE = 1000;

/**
 * @typedef {object} Faults
 * @property {any[]} [starts] What to say to the first questions: `{ status, error }`, `'silence'`, or the body of an answer.
 * @property {any[]} [streams] What to do with the first streams: `{ status }`, `{ lines: N }` ends after N lines, `{ stall: N }`
 *   says nothing after them, `{ unreachable: true }`.
 * @property {boolean} [ever] Whether the last of `streams` goes on for ever.
 * @property {number} [line] Operations of a line.
 * @property {number} [generation] Another one than the snapshot's.
 * @property {(line: any) => Promise<void>} [before] Awaited before each line.
 */

/** Answers `GET /start`, `POST /sync/stream` and the service's other paths. */
export class Stream {
  /**
   * @param {Faults} [faults]
   * @param {string} [snapshot] The file.
   */
  constructor(faults = {}, snapshot = setUp.snapshots[STORE].file) {
    Object.assign(this, { starts: [], streams: [], line: LINE, ...faults });
    const db = new DatabaseSync(snapshot, { readOnly: true });
    this.content = contentOf(db, this.line, this.generation);
    db.close();
    /** Each request: its path, status and body. */
    this.requests = [];
  }

  async serve(request, response, url) {
    const record = { path: url.pathname, status: 200 };
    this.requests.push(record);
    const refuse = (status, error) => {
      record.status = status;
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ error }));
    };
    const user = storeOf(request.headers.authorization);
    if (url.pathname === '/start') {
      const next = this.starts.shift();
      if (next === 'silence') return;
      if (next?.status) return refuse(next.status, next.error);
      if (user !== url.searchParams.get('store_id')) return refuse(user ? 403 : 401, user ? 'wrong_store' : 'no_token');
      response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' });
      return response.end(JSON.stringify(next ?? this.start(url, request.headers.host)));
    }
    if (url.pathname !== `/stores/${STORE}/sync/stream`) return refuse(401, 'not_here');
    record.body = await bodyOf(request);
    const fault = (this.ever && this.streams.length === 1 ? this.streams[0] : this.streams.shift()) ?? {};
    if (fault.unreachable) return request.socket.destroy();
    if (fault.status) return refuse(fault.status, 'as the test wants it');
    if (user !== STORE) return refuse(401, 'no_token');
    // It goes on at the service, which alone knows what has changed since.
    const own = record.body.buckets.filter(({ name, after }) => after !== '0' && this.content.names.has(name));
    if (own.length > 0) return refuse(401, 'not_here');
    if (!this.content.subscribed(record.body.streams)) return refuse(401, 'other_subscriptions');
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    const end = fault.lines ?? fault.stall ?? this.content.lines.length;
    for (const line of this.content.lines.slice(0, end)) {
      await this.before?.(line);
      response.write(`${JSON.stringify(line)}\n`);
    }
    if (fault.stall === undefined) response.end();
  }

  /** As `seedbed serve` says it. */
  start({ searchParams }, host) {
    const [own, device] = [this.content.generation, searchParams.get('generation')];
    const why = device === null ? 'first_sync' : Number(device) < Number(own) ? 'new_config' : 'own_positions';
    const here = why !== 'own_positions';
    return {
      storeId: searchParams.get('store_id'),
      from: here ? 'seedbed' : 'powersync',
      endpoint: here ? `http://${host}/stores/${STORE}` : null,
      serviceEndpoint: null,
      why,
      message: 'as seedbed serve says it',
      generation: own
    };
  }

  /** Streams that were begun and not refused. */
  get served() {
    return this.requests.filter(({ path, status }) => path.endsWith('/sync/stream') && status === 200).length;
  }
}

/** One checkpoint of the snapshot, in PowerSync's own protocol. */
function contentOf(db, length, generation) {
  const renamed = (name) => (generation ? name.replace(/^\d+/, String(generation)) : name);
  const all = (sql, ...parameters) => db.prepare(sql).all(...parameters);
  const signed = (checksum) => Number(checksum) | 0;
  const streams = all('SELECT stream_name AS name, is_default, local_params FROM ps_stream_subscriptions WHERE active ORDER BY id');
  const defaults = streams.filter(({ is_default }) => is_default);
  const buckets = all("SELECT id, name, last_op, add_checksum, op_checksum, priority FROM ps_buckets JOIN (SELECT 3 AS priority) WHERE name <> '$local'").map(
    ({ name, ...bucket }) => ({ ...bucket, name: renamed(name) })
  );
  const lines = [];
  const last = String(Math.max(...buckets.map(({ last_op }) => Number(last_op))));
  const of = (name) => name.replace(/^\d+#/, '').replace(/[|[].*/, '');
  lines.push({
    checkpoint: {
      last_op_id: last,
      buckets: buckets.map(({ name, add_checksum, op_checksum, priority, id }) => ({
        bucket: name,
        checksum: signed(Number(add_checksum) + Number(op_checksum)),
        count: all('SELECT count(*) AS count FROM ps_oplog WHERE bucket = ?', id)[0].count,
        priority,
        subscriptions: defaults.flatMap(({ name: stream }, index) => (stream === of(name) ? [{ default: index }] : []))
      })),
      streams: streams.map(({ name, is_default }) => ({ name, is_default: Boolean(is_default), errors: [] }))
    }
  });
  for (const { id, name, add_checksum } of buckets) {
    const operations = all('SELECT * FROM ps_oplog WHERE bucket = ? ORDER BY op_id', id).map((row) => ({
      op_id: String(row.op_id),
      op: 'PUT',
      object_type: row.row_type,
      object_id: row.row_id,
      checksum: Number(row.hash) >>> 0,
      subkey: row.key.slice(`${row.row_type}/${row.row_id}/`.length),
      data: row.data
    }));
    if (Number(add_checksum) !== 0) operations.unshift({ op_id: '0', op: 'CLEAR', checksum: signed(add_checksum) });
    for (let at = 0, after = '0'; at < operations.length; at += length) {
      const data = operations.slice(at, at + length);
      const next_after = data.at(-1).op_id;
      lines.push({ data: { bucket: name, after, has_more: at + length < operations.length, data, next_after } });
      after = next_after;
    }
  }
  lines.push({ checkpoint_complete: { last_op_id: last } }, { token_expires_in: 0 });
  const wanted = streams.filter(({ is_default }) => !is_default).map(({ name, local_params }) => `${name} ${local_params}`);
  return {
    lines,
    names: new Set(buckets.map(({ name }) => name)),
    generation: buckets[0].name.split('#')[0],
    subscribed: ({ subscriptions }) =>
      subscriptions.map(({ stream, parameters }) => `${stream} ${JSON.stringify(parameters)}`).sort().join() === wanted.sort().join()
  };
}

async function bodyOf(request) {
  let body = '';
  for await (const chunk of request) body += chunk;
  return JSON.parse(body);
}
