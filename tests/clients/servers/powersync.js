/**
 * In front of the stand-in service: what it does not have, and an app with local writes or in a browser needs. Write checkpoints,
 * as a new stream has them, and leave for other origins.
 */

import { createServer } from 'node:http';
import { Readable } from 'node:stream';

/** Serves until the test ends: its URL. */
export async function powersync(t) {
  const { setUp } = await import('../service.js');
  const { url, stop } = await inFrontOf(setUp.endpoint);
  t.after(stop);
  return url;
}

/** Serves until it is stopped. */
export async function inFrontOf(endpoint) {
  const open = new Set();
  let checkpoint = 0;
  const server = createServer(async (request, response) => {
    allowAll(response);
    if (request.method === 'OPTIONS') return response.writeHead(204).end();
    if (request.url.startsWith('/write-checkpoint2.json')) {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ data: { write_checkpoint: String(++checkpoint) } }));
      // The next one has it.
      for (const stream of open) stream.end();
      return;
    }
    const answer = await fetch(`${endpoint}${request.url}`, {
      method: request.method,
      headers: { 'content-type': 'application/json', authorization: request.headers.authorization ?? '', accept: 'application/x-ndjson' },
      body: request.method === 'POST' ? Readable.toWeb(request) : undefined,
      duplex: 'half'
    });
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? 'text/plain' });
    open.add(response);
    response.on('close', () => open.delete(response));
    await relay(answer, response, checkpoint);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { url: `http://127.0.0.1:${server.address().port}`, stop };
}

/** @param {import('node:http').ServerResponse} response */
export function allowAll(response) {
  response.setHeader('access-control-allow-origin', '*');
  response.setHeader('access-control-allow-methods', '*');
  response.setHeader('access-control-allow-headers', '*, authorization');
  response.setHeader('access-control-expose-headers', '*');
}

/** Line by line, with the write checkpoint in those that are checkpoints. */
async function relay(answer, response, checkpoint) {
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for await (const chunk of answer.body) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
      rest = lines.pop();
      for (const line of lines) response.write(`${withWrite(line, checkpoint)}\n`);
      if (response.destroyed || response.writableEnded) return;
    }
    response.end(rest);
  } catch {
    response.destroy();
  }
}

function withWrite(line, checkpoint) {
  if (!checkpoint || !/^\{"checkpoint(_diff)?"/.test(line)) return line;
  const [[name, value]] = Object.entries(JSON.parse(line));
  return JSON.stringify({ [name]: { ...value, write_checkpoint: String(checkpoint) } });
}
