/**
 * The package for the web as the suite drives it: in Debian's Chromium, by Playwright. `web.js VFS [KEY]`. The device's directory
 * is the browser's profile.
 */

import { createServer } from 'node:http';
import { readFile, writeFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { chromium } from 'playwright-core';
import { inFrontOf } from '../servers/powersync.js';
import { answer, say } from './app.js';

const [vfs] = process.argv.slice(2);

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

const PAGE = `<!doctype html><meta charset="utf-8"><title>app</title>
<script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>
<script type="module" src="/tests/clients/drivers/page.js"></script>`;

/** The browser of a device: its own profile, and its own origin, which is the same at the next launch. */
let browser;
let starting = Promise.resolve();

async function start(directory) {
  if (browser?.directory === directory) return;
  await end();
  const known = join(directory, 'port');
  const port = Number(await readFile(known, 'utf8').catch(() => '0'));
  const server = createServer(async ({ url }, response) => {
    const path = new URL(url, 'http://x').pathname;
    const content = path === '/' ? PAGE : await readFile(join(process.cwd(), path)).catch(() => undefined);
    response.writeHead(content === undefined ? 404 : 200, { 'content-type': TYPES[extname(path) || '.html'] ?? 'text/plain' });
    response.end(content);
  });
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  await writeFile(known, String(server.address().port));
  const context = await chromium.launchPersistentContext(join(directory, 'profile'), {
    executablePath: '/usr/bin/chromium-headless-shell',
    args: FLAGS
  });
  browser = { directory, server, context, proxies: [] };
  browser.tabs = [await tab()];
}

async function tab() {
  const page = await browser.context.newPage();
  page.on('console', (message) => message.type() === 'error' && console.error(message.text()));
  page.on('pageerror', (error) => console.error(error.stack));
  await page.exposeFunction('say', say);
  await page.goto(`http://localhost:${browser.server.address().port}/?vfs=${vfs}`);
  await page.waitForFunction(() => globalThis.command);
  return page;
}

async function end() {
  if (!browser) return;
  await browser.context.close();
  for (const proxy of browser.proxies) await proxy.stop();
  browser.server.closeAllConnections();
  await new Promise((resolve) => browser.server.close(resolve));
  browser = undefined;
}

const plain = /^OPFS/.test(vfs);
const about = {
  platform: 'web',
  forms: plain ? ['file', 'compact'] : [],
  encodings: plain ? ['gzip', 'identity'] : [],
  softClear: true,
  decodes: true,
  files: true,
  single: true,
  keys: true
};

answer(async (line) => {
  try {
    if (line.do === 'hello') return { id: line.id, ok: true, ...about };
    if (line.do === 'open') await (starting = starting.then(() => start(line.directory)));
    if (line.do === 'connect') {
      // The service knows nothing of other origins.
      const proxy = await inFrontOf(line.endpoint);
      browser.proxies.push(proxy);
      line.endpoint = proxy.url;
    }
    const { tab: number = 0 } = line;
    // As a user leaves it: nothing is closed.
    if (line.do === 'leave') {
      await browser.tabs[number].close();
      browser.tabs[number] = undefined;
      return { id: line.id, ok: true };
    }
    const page = (browser.tabs[number] ??= await tab());
    const said = await page.evaluate((line) => globalThis.command(line), line);
    // Another process may open the profile next.
    if (line.do === 'close' && number === 0) await end();
    return said;
  } catch (error) {
    return { id: line.id, ok: false, code: null, message: String(error) };
  }
});
