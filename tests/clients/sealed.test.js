/** Sealed files: an encrypted database begins with one, and no row is ever on the disk in plain text. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { device } from './device.js';
import { seedbed } from './servers/seedbed.js';
import { renditions, sealedRenditions, service, setUp } from './service.js';
import { Stream } from './servers/stream.js';

const cipher = setUp.driver.at(-1) === 'key' ? 'sqlcipher4' : setUp.driver.at(-1);
const sealed = await sealedRenditions(cipher);
const MIB = 1024 * 1024;

/** What stands in every plain file of the store: names that are long enough not to be there by chance. */
const KNOWN = (await service.rows()).map((row) => row.split('|')).filter(([table]) => table === 'products');
const WORDS = [KNOWN[0], KNOWN[Math.floor(KNOWN.length / 2)], KNOWN.at(-1)].flatMap(([, id, , name]) => [id, name]);

/** The files of the device's folder in which a row, or a key of a sealed file, can be read. */
async function readable(directory) {
  const secrets = [...WORDS, ...Object.values(sealed).map(({ key }) => key)];
  const found = [];
  for (const name of await readdir(directory, { recursive: true })) {
    const bytes = await readFile(join(directory, name)).catch(() => undefined);
    if (bytes && secrets.some((text) => bytes.includes(text))) found.push(name);
  }
  return found;
}

/** Looks again and again, until it is told to stop. */
function watching(directory) {
  const found = new Set();
  let going = true;
  let looks = 0;
  const done = (async () => {
    for (; going; looks++) for (const name of await readable(directory)) found.add(name);
  })();
  return async () => {
    going = false;
    await done;
    assert.ok(looks > 0);
    assert.deepEqual([...found], [], 'readable on the disk');
  };
}

async function begin(t, faults = {}) {
  const server = await seedbed(t, { renditions: sealed, ...faults });
  const phone = await device(t);
  const app = await phone.app();
  return { server, phone, app };
}

/** Everything is there, offline, and the service has nothing more. */
async function assertWhole(app, phone) {
  assert.deepEqual(await app.rows(), await service.rows());
  const { rows } = await app.tell('query', { sql: 'SELECT count(*) AS writes FROM ps_crud' });
  assert.equal(rows[0].writes, 0);
  assert.equal(await app.sync(), 0);
  assert.deepEqual(await readable(phone.directory), []);
}

test('what is looked for would be found', async () => {
  for (const word of WORDS) assert.ok(renditions['file/identity'].includes(word), word);
  assert.ok(renditions['compact/identity'].includes(WORDS[1]));
});

for (const form of ['file', 'compact']) {
  test(`a sealed ${form} becomes the app's encrypted database, and no row is ever readable`, async (t) => {
    const { server, phone, app } = await begin(t, { pace: 1 });
    const unreadable = watching(phone.directory);
    const outcome = await app.open({ url: server.url, form });
    await unreadable();
    assert.deepEqual([outcome.outcome, outcome.form, outcome.encoding], ['installed', form, cipher]);
    assert.deepEqual(await phone.leftovers(), []);
    await assertWhole(app, phone);
    await app.tell('disconnect');
    await app.quit();
    // With the app's key alone, and not with the file's.
    const again = await phone.app();
    const kept = await again.open({ url: server.url, form });
    assert.deepEqual([kept.outcome, kept.reason], ['kept', 'synced']);
    await again.quit();
    const other = await phone.app();
    const refused = await other.tryToOpen({ url: server.url, form, key: 'another' });
    assert.equal(refused.ok, false, 'another key opens it');
    assert.deepEqual(await readable(phone.directory), []);
    assert.equal(server.served.length, 1);
  });
}

test('a real Seedbed hands out sealed files', async (t) => {
  const phone = await device(t);
  const app = await phone.app();
  const outcome = await app.open({ url: setUp.database, form: 'compact' });
  assert.deepEqual([outcome.outcome, outcome.form, outcome.encoding], ['installed', 'compact', cipher]);
  await assertWhole(app, phone);
});

test('a download that breaks off is resumed', async (t) => {
  const { server, phone, app } = await begin(t, { downloads: [{ cut: 40_000 }] });
  const outcome = await app.open({ url: server.url, form: 'compact' });
  assert.deepEqual([outcome.outcome, outcome.resumes], ['installed', 1]);
  await assertWhole(app, phone);
});

test('what was altered on the way is downloaded again, and never installed', async (t) => {
  const { server, phone, app } = await begin(t, { downloads: [{ flip: true }], ever: true });
  const outcome = await app.open({ url: server.url, form: 'file' });
  assert.deepEqual([outcome.outcome, outcome.reason], ['sync', 'corrupt']);
  assert.deepEqual(await phone.leftovers(), []);
});

test('a file that its key does not open is not installed', async (t) => {
  const { server, phone, app } = await begin(t, { change: (answer) => ({ ...answer, key: '0'.repeat(64) }) });
  const outcome = await app.open({ url: server.url, form: 'compact' });
  assert.deepEqual([outcome.outcome, outcome.reason], ['sync', 'not_openable']);
  assert.deepEqual(await phone.leftovers(), []);
  await app.sync();
  assert.deepEqual(await app.rows(), await service.rows());
  assert.deepEqual(await readable(phone.directory), []);
});

for (const [what, faults] of [
  ['none is sealed', { renditions }],
  ['the server is an older one', { renditions, older: true, answers: [{ status: 400 }, { status: 400 }] }],
  ['it is sealed otherwise', { change: (answer) => answer, renditions: { 'file/other': renditions['file/identity'] } }]
]) {
  test(`the stream is taken where ${what}`, async (t) => {
    const { server, phone, app } = await begin(t, { ...faults, stream: new Stream() });
    const outcome = await app.open({ url: server.url, form: 'compact', subscribe: true });
    assert.deepEqual([outcome.outcome, outcome.form], ['installed', 'stream']);
    assert.ok(server.questions.every(({ encoding }) => encoding === cipher), 'nothing plain is asked for');
    assert.equal(server.served.length, 0);
    await assertWhole(app, phone);
  });
}

test('a plain file is refused, whoever sends it', async (t) => {
  const answers = [{ body: { databaseUrl: 'http://127.0.0.1:9/x', bytes: 10, sha256: '0'.repeat(64), form: 'file', encoding: 'identity' } }];
  const { server, app } = await begin(t, { answers });
  const refused = await app.tryToOpen({ url: server.url, form: 'file', whenUnavailable: 'fail' });
  assert.equal(refused.code, 'bad_answer');
  assert.equal(server.served.length, 0);
});

/** Kills in all, on one device each before its launch may finish. */
const KILLS = Number(process.env.SEEDBED_KILLS ?? 12);
const IN_A_ROW = 4;

test(`after ${KILLS} kills no row is readable, and nothing is lost`, { timeout: 220_000 }, async (t) => {
  const stages = ['downloading', 'finishing', 'finishing', 'finishing'];
  const seen = [];
  const round = async (number) => {
    const form = number % 2 ? 'file' : 'compact';
    const { server, phone } = await begin(t, { pace: 1 });
    for (let kill = 0; kill < IN_A_ROW; kill++) {
      const app = await phone.app();
      const launch = app.open({ url: server.url, form, progress: true }).catch(() => {});
      const reached = app.until(({ stage }) => stage === stages[kill]);
      await Promise.race([launch, reached]);
      // The moments of finishing: the transaction, the other key, the rename.
      await Promise.race([launch, new Promise((resolve) => setTimeout(resolve, Math.random() * (kill === 0 ? 40 : 25)))]);
      await app.kill();
      await launch;
      seen.push(app.progress.at(-1)?.stage ?? 'inspecting');
      assert.deepEqual(await readable(phone.directory), []);
    }
    const app = await phone.app();
    const outcome = await app.open({ url: server.url, form });
    assert.ok(['installed', 'kept'].includes(outcome.outcome), JSON.stringify(outcome));
    assert.deepEqual(await phone.leftovers(), []);
    await assertWhole(app, phone);
    const twice = server.sent - sealed[`${form}/${cipher}`].length;
    assert.ok(twice <= IN_A_ROW * MIB, `${twice} bytes were sent twice`);
    await app.tell('disconnect');
  };
  const rounds = Array.from({ length: Math.ceil(KILLS / IN_A_ROW) }, (_, number) => number);
  const lane = async () => {
    for (let number = rounds.shift(); number !== undefined; number = rounds.shift()) await round(number);
  };
  await Promise.all([lane(), lane()]);
  t.diagnostic(`killed while ${['downloading', 'finishing'].map((stage) => `${stage}: ${seen.filter((it) => it === stage).length}`)}`);
  assert.ok(seen.includes('finishing'));
});
