/** The same as `launch.js` in a browser: reads from standard input what to do, with `vfs`, and prints what it took. */

import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { launch, serve } from '../../clients/drivers/browser.js';

const task = JSON.parse(await text(process.stdin));
const server = await serve('/tests/bench/first_launch/page.js');
// The stand-in service knows nothing of other origins.
const context = await launch(join(task.directory, 'profile'), ['--disable-web-security']);
const page = await context.newPage();
page.on('pageerror', (error) => console.error(error.stack));
await page.goto(`http://localhost:${server.address().port}/`);
await page.waitForFunction(() => globalThis.begin);
console.log(JSON.stringify(await page.evaluate((task) => globalThis.begin(task), task)));
await context.close();
process.exit();
