/**
 * The package for the web as the suite drives it: in Debian's Chromium, by Playwright. `web.js VFS [late]`: with `late`, connections
 * of a database learn late of each other's changes. The device's directory is the browser's profile.
 */

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inFrontOf } from '../servers/powersync.js';
import { answer, say } from './app.js';
import { launch, serve } from './browser.js';

const [vfs, late] = process.argv.slice(2);

/** The browser of a device: its own profile, and its own origin, which is the same at the next launch. */
let browser;
let starting = Promise.resolve();

async function start(directory) {
  if (browser?.directory === directory) return;
  await end();
  const known = join(directory, 'port');
  const port = Number(await readFile(known, 'utf8').catch(() => '0'));
  const server = await serve('/tests/clients/drivers/page.js', port, late === 'late');
  await writeFile(known, String(server.address().port));
  const context = await launch(join(directory, 'profile'));
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
