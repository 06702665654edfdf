/** Debian's Chromium, by Playwright, and the server that its pages come from. */

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { chromium } from 'playwright-core';

export const CHROMIUM = '/usr/bin/chromium-headless-shell';

const FLAGS = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript', '.wasm': 'application/wasm' };

/** Modules by their names, as a bundler finds them. Workers have no such map: the SDK's is the bundled one. */
const IMPORTS = {
  'seedbed-client-core': '/deploy/clients/core-js/index.js',
  '@powersync/web': '/node_modules/@powersync/web/lib/index.js',
  '@powersync/common': '/node_modules/@powersync/common/lib/index.js',
  '@powersync/shared-internals': '/node_modules/@powersync/shared-internals/lib/index.js',
  '@journeyapps/wa-sqlite': '/node_modules/@journeyapps/wa-sqlite/src/sqlite-api.js',
  comlink: '/node_modules/comlink/dist/esm/comlink.mjs'
};

/** Messages between the connections of a database arrive half a second later: a busy device, always. */
const LATE = `{
  const Channel = globalThis.BroadcastChannel;
  globalThis.BroadcastChannel = class extends Channel {
    set onmessage(listener) {
      this.listener = listener;
      super.onmessage = listener && ((event) => setTimeout(() => this.listener?.(event), 500));
    }
  };
}
`;

/**
 * Serves the files below the current directory, and at `/` a page that loads this module; on a free port if it is 0. With `late`,
 * connections of a database learn late of each other's changes.
 */
export async function serve(module, port = 0, late = false) {
  const page = `<!doctype html><meta charset="utf-8"><title>app</title>
<script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>
<script type="module" src="${module}"></script>`;
  const server = createServer(async ({ url }, response) => {
    const path = new URL(url, 'http://x').pathname;
    let content = path === '/' ? page : await readFile(join(process.cwd(), path)).catch(() => undefined);
    if (late && path.endsWith('/worker.js')) content = LATE + content;
    response.writeHead(content === undefined ? 404 : 200, { 'content-type': TYPES[extname(path) || '.html'] ?? 'text/plain' });
    response.end(content);
  });
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  return server;
}

/** A browser with this profile. */
export function launch(profile, more = []) {
  return chromium.launchPersistentContext(profile, { executablePath: CHROMIUM, args: [...FLAGS, ...more] });
}
