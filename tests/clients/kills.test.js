/** A launch that is killed at any moment is gone on with by the next one. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { device } from './device.js';
import { seedbed } from './servers/seedbed.js';
import { renditions, service } from './service.js';

/** Kills in all, and on one device before a launch may finish. */
const KILLS = Number(process.env.SEEDBED_KILLS ?? 50);
const IN_A_ROW = 5;

/** For the same moments again. */
const SEED = Number(process.env.SEEDBED_KILL_SEED ?? Date.now() % 1_000_000);

const MIB = 1024 * 1024;

/** Numbers from 0 to 1 that the seed makes (mulberry32). */
function randomNumbers(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What is downloaded: with and without unpacking, with and without much to finish. */
const KINDS = ['file/identity', 'compact/gzip', 'file/gzip', 'compact/identity'];

async function serverFor(t, kind) {
  const [form] = kind.split('/');
  const only = { [kind]: renditions[kind], [`${form}/identity`]: renditions[`${form}/identity`] };
  return { server: await seedbed(t, { renditions: only, pace: 1 }), form };
}

/** How long a launch takes that is not killed: milliseconds from the command to the open database. */
async function undisturbed(t, kind) {
  const { server, form } = await serverFor(t, kind);
  const phone = await device(t);
  const app = await phone.app();
  const started = performance.now();
  assert.equal((await app.open({ url: server.url, form })).outcome, 'installed');
  const took = performance.now() - started;
  await app.kill();
  return took;
}

/** A random moment: of the download, which is most of a real launch, or of anything that a launch does. */
function moment(app, kind, took, random) {
  const [when, how] = [random(), random()];
  if (how < 0.5) return app.until(({ stage, bytes }) => stage === 'downloading' && bytes >= when * renditions[kind].length);
  if (how < 0.75) {
    const stage = ['waiting', 'downloading', 'unpacking', 'finishing'][Math.floor(when * 4)];
    return app.until((progress) => progress.stage === stage);
  }
  return new Promise((resolve) => setTimeout(resolve, when * took));
}

/** Kills one launch after another on a device, and looks at what the last one makes of it. */
async function killed(t, kind, took, random, seen) {
  const { server, form } = await serverFor(t, kind);
  const phone = await device(t);
  for (let kill = 0; kill < IN_A_ROW; kill++) {
    const app = await phone.app();
    const launch = app.open({ url: server.url, form, progress: true }).catch(() => {});
    await Promise.race([launch, moment(app, kind, took, random)]);
    await app.kill();
    await launch;
    seen.push(app.progress.at(-1)?.stage ?? 'inspecting');
  }
  const app = await phone.app();
  const outcome = await app.open({ url: server.url, form });
  const what = `${kind} ${JSON.stringify(outcome)}`;
  assert.ok(['installed', 'kept'].includes(outcome.outcome), what);
  assert.deepEqual(await phone.leftovers(), [], what);
  const [rows, expected] = [await app.rows(), await service.rows()];
  assert.equal(rows.length, expected.length, what);
  assert.equal(rows.join('\n') === expected.join('\n'), true, `${what}: rows differ`);
  const { rows: writes } = await app.tell('query', { sql: 'SELECT count(*) AS writes FROM ps_crud' });
  assert.equal(writes[0].writes, 0, what);
  assert.equal(await app.sync(), 0, `${what}: operations were downloaded again`);
  const twice = server.sent - renditions[kind].length;
  assert.ok(twice <= IN_A_ROW * MIB, `${what}: ${twice} bytes were sent twice`);
  return server.served.filter(({ from }) => from > 0).length;
}

test(`after ${KILLS} kills at random moments nothing is lost (seed ${SEED})`, { timeout: 280_000 }, async (t) => {
  const random = randomNumbers(SEED);
  const took = {};
  for (const kind of KINDS) took[kind] = await undisturbed(t, kind);
  const rounds = Array.from({ length: Math.ceil(KILLS / IN_A_ROW) }, (_, round) => KINDS[round % KINDS.length]);
  const seen = [];
  let resumed = 0;
  // Two devices at a time: starting a process takes longer than most launches.
  const lane = async () => {
    for (let kind = rounds.shift(); kind; kind = rounds.shift()) resumed += await killed(t, kind, took[kind], random, seen);
  };
  await Promise.all([lane(), lane()]);
  const count = (stage) => seen.filter((it) => it === stage).length;
  t.diagnostic(`killed while ${['inspecting', 'waiting', 'downloading', 'unpacking', 'finishing'].map((stage) => `${stage}: ${count(stage)}`).join(', ')}; resumed ${resumed} times`);
  assert.ok(count('downloading') > 0 && resumed > 0, 'some were killed in the middle of a download, and resumed');
});
