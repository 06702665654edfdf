/** A Seedbed that does what a test tells it to: answers like `seedbed serve`, or wrongly. */

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { setUp } from './support.js';

/**
 * Serves the snapshot of the store until the test ends.
 *
 * @param {object} faults `answers`: what to answer to the first requests, instead of the snapshot's URL; `body`: what
 *   becomes of the file before it is described, `sent`: of what is sent of it; `cut`: after how many bytes the
 *   connection breaks; `stall`: after how many bytes nothing comes any more.
 * @returns `url` for the client, and the `requests` that have come.
 */
export async function seedbed(t, store, { answers = [], body, sent, cut, stall } = {}) {
  const original = await readFile(setUp.snapshots[store].file);
  const file = body ? body(original) : original;
  const requests = [];
  const waiting = [...answers];
  const server = createServer((request, response) => {
    requests.push(request.url);
    const { pathname, searchParams } = new URL(request.url, 'http://seedbed');
    if (pathname === '/snapshots/file') return send(response);
    const json = (status, answer, headers = {}) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(JSON.stringify(answer));
    };
    const next = waiting.shift();
    if (next === 'silence') return;
    if (next) return json(next.status, { error: next.error, message: 'as the test wants it' }, next.headers);
    if (storeOf(request.headers.authorization) !== store) return json(401, { error: 'no_token' });
    if (searchParams.get('store_id') !== store) return json(404, { error: 'no_snapshot' });
    json(200, {
      databaseUrl: `${address()}/snapshots/file?expires=4102444800&signature=c2lnbmVk`,
      bytes: file.length,
      sha256: createHash('sha256').update(file).digest('hex'),
      encoding: 'identity'
    });
  });
  const send = (response) => {
    const content = sent ? sent(Buffer.from(file)) : file;
    response.writeHead(200, { 'content-length': content.length });
    if (cut !== undefined) return response.write(content.subarray(0, cut), () => response.destroy());
    if (stall !== undefined) return response.write(content.subarray(0, stall));
    response.end(content);
  };
  const address = () => `http://127.0.0.1:${server.address().port}`;
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `${address()}/database`, requests };
}

/** The store that the claims of a bearer token name. */
function storeOf(authorization) {
  const claims = authorization?.split('.')[1];
  return claims && JSON.parse(Buffer.from(claims, 'base64url')).store_id;
}
