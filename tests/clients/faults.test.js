/** Whatever goes wrong on the way: it heals, or the normal sync takes over and the next launch tries again. */

import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { device } from './device.js';
import { seedbed } from './servers/seedbed.js';
import { makeRenditions, renditions, service, setUp } from './service.js';

const HUNDRED_K = 100 * 1024;

const seconds = (count) => new Date(Date.now() - count * 1000).toISOString();

/** What each fault is to the app. `more`: what the app asks for. */
const faults = [
  ['there is no snapshot', { answers: [{ status: 404, error: 'no_snapshot' }] }, 'no_snapshot'],
  ['the snapshot is too old', { answers: [{ status: 404, error: 'snapshot_too_old' }] }, 'too_old'],
  ['the token is refused', { answers: [{ status: 401, error: 'expired_token' }] }, 'unauthorized'],
  ['the token is for another store', { answers: [{ status: 403, error: 'wrong_store' }] }, 'wrong_store'],
  ['downloads are disabled', { answers: [{ status: 403, error: 'downloads_disabled' }] }, 'downloads_disabled'],
  ['the server fails', { answers: [{ status: 500, error: 'failed' }] }, 'server_error'],
  ['the server says nothing', { answers: ['silence'] }, 'stalled', { silenceLimit: 300 }],
  ['it is not Seedbed that answers', { answers: [{ body: { hello: 'world' } }] }, 'bad_answer'],
  ['seeding takes too long', { answers: [{ status: 202, error: 'being_seeded', retryAfter: 600 }] }, 'being_seeded'],
  ['the server is busy for long', { answers: [{ status: 429, error: 'busy', retryAfter: 600 }] }, 'busy'],
  ['one bit is altered on the way', { downloads: [{ flip: true }], ever: true }, 'corrupt'],
  ['the body is longer than promised', { downloads: [{ longer: true }], ever: true }, 'corrupt'],
  ['the answer lies about the length', { change: (a) => ({ ...a, bytes: a.bytes + 1 }) }, ['corrupt', 'cut']],
  ['the answer lies about the hash', { change: (a) => ({ ...a, sha256: '0'.repeat(64) }) }, 'corrupt'],
  ['the download stands still again and again', { downloads: [{ stall: 0 }], ever: true }, 'stalled', { silenceLimit: 300 }],
  ['the object is gone', { downloads: [{ status: 404 }], ever: true }, 'expired'],
  ['the object is gone for good', { downloads: [{ status: 410 }], ever: true }, 'expired'],
  ['the answer is of another store', { change: (a) => ({ ...a, storeId: 'another' }) }, 'wrong_store'],
  ['the answer is of another service', { change: (a) => ({ ...a, serviceEndpoint: 'https://other.example.com' }) }, 'wrong_service', { endpoint: 'https://powersync.example.com' }],
  ['the answer is of another generation', { change: (a) => ({ ...a, generation: '4' }) }, 'wrong_generation', { generation: '3' }],
  ['the answer is older than the app allows', { change: (a) => ({ ...a, verifiedAt: seconds(100) }) }, 'too_old', { maxAge: 60 }],
  ['the answer is older than it allows itself', { change: (a) => ({ ...a, verifiedAt: seconds(100), maxAge: 60 }) }, 'too_old'],
  ['the snapshot is of a newer core', { change: (a) => ({ ...a, coreVersion: '9.0.0' }) }, 'newer_core'],
  ['the snapshot needs a newer way to finish', { change: (a) => ({ ...a, finish: 999 }) }, 'unknown_finish', { form: 'compact' }]
];

for (const [what, fault, reason, more = {}] of faults) {
  test(`when ${what}, the normal sync takes over, and the next launch installs`, async (t) => {
    const server = await seedbed(t, fault);
    const phone = await device(t);
    const app = await phone.app();
    if (more.form && !app.about.forms.includes(more.form)) return t.skip('not in this package');
    const outcome = await app.open({ url: server.url, waitLimit: 1000, ...more });
    assert.equal(outcome.outcome, 'sync', JSON.stringify(outcome));
    assert.ok([reason].flat().includes(outcome.reason), outcome.reason);
    assert.deepEqual(await phone.leftovers(), []);
    assert.deepEqual(await app.rows(), []);
    assert.equal((await app.tell('status')).hasSynced, false);
    await app.quit();

    const healthy = await seedbed(t);
    const again = await phone.app();
    assert.equal((await again.open({ url: healthy.url })).outcome, 'installed', 'nothing was synced in between');
    assert.deepEqual(await again.rows(), await service.rows());
    assert.deepEqual(await phone.leftovers(), []);
  });
}

test('after a failed launch and a normal sync, the database is kept', async (t) => {
  const server = await seedbed(t, { answers: [{ status: 404, error: 'no_snapshot' }] });
  const phone = await device(t);
  const app = await phone.app();
  await app.open({ url: server.url });
  const rows = await service.rows();
  assert.equal(await app.sync(), rows.length);
  assert.deepEqual(await app.rows(), rows);
  await app.quit();
  const again = await phone.app();
  const outcome = await again.open({ url: server.url });
  assert.deepEqual([outcome.outcome, outcome.reason], ['kept', 'synced']);
  assert.equal(server.questions.length, 1);
});

/** What heals by itself: every row is there, and nothing is downloaded twice but what the fault makes inevitable. */
const healing = [
  ['the store is being seeded', { answers: [{ status: 202, error: 'being_seeded', retryAfter: 1 }] }, 0],
  ['the server is busy', { answers: [{ status: 429, error: 'busy', retryAfter: 1 }] }, 0],
  ['the server is overloaded', { answers: [{ status: 503, error: 'busy', retryAfter: 1 }] }, 0],
  ['object storage is overloaded', { downloads: [{ status: 503, retryAfter: 1 }] }, 0],
  ['the connection is lost', { downloads: [{ cut: HUNDRED_K }] }, 0],
  ['the connection is lost again and again', { downloads: Array(4).fill({ cut: 40_000 }) }, 0],
  ['the body ends early', { downloads: [{ early: 1000 }] }, 0],
  ['the length of the body is a lie', { downloads: [{ shorter: true }] }, 0],
  ['the download stands still', { downloads: [{ stall: HUNDRED_K }] }, 0],
  ['the URL expires in the middle', { downloads: [{ expireAfter: HUNDRED_K }] }, 0],
  ['there are no ranges', { ranges: false, downloads: [{ cut: HUNDRED_K }] }, HUNDRED_K]
];

/** Where answers come as a whole, each that breaks off is lost. */
const allowance = (app, { downloads = [] }) => downloads.length * (app.about.loses ?? 0);

for (const [what, fault, twice] of healing) {
  test(`when ${what}, the launch goes on`, async (t) => {
    const server = await seedbed(t, fault);
    const phone = await device(t);
    const app = await phone.app();
    const outcome = await app.open({ url: server.url });
    assert.equal(outcome.outcome, 'installed', JSON.stringify(outcome));
    assert.deepEqual(await app.rows(), await service.rows());
    const { form, encoding } = outcome;
    const lost = server.sent - renditions[`${form}/${encoding}`].length - twice;
    assert.ok(lost >= 0 && lost <= allowance(app, fault), `${lost} bytes were sent twice`);
    assert.deepEqual(await phone.leftovers(), []);
    assert.equal(await app.sync(), 0);
  });
}

/** A small snapshot comes with the answer, where the platform has streams. */
for (const [what, fault, downloads] of [
  ['nothing goes wrong', {}, 1],
  ['the connection is lost', { downloads: [{ cut: HUNDRED_K }] }, 2],
  ['it is lost at once', { downloads: [{ cut: 0 }] }, 2],
  ['the download stands still', { downloads: [{ stall: HUNDRED_K }] }, 2],
  ['one bit is altered on the way', { downloads: [{ flip: true }] }, 2]
]) {
  test(`a snapshot that comes with the answer is all that is asked for; when ${what}, the launch goes on`, async (t) => {
    const server = await seedbed(t, { inline: true, ...fault });
    const phone = await device(t);
    const app = await phone.app();
    const outcome = await app.open({ url: server.url, silenceLimit: 1000 });
    if (!server.questions[0].inline) return t.skip('not in this package');
    assert.equal(outcome.outcome, 'installed', JSON.stringify(outcome));
    assert.deepEqual(await app.rows(), await service.rows());
    assert.deepEqual(await phone.leftovers(), []);
    assert.deepEqual(server.served.map(({ inline = false }) => inline), [true, false].slice(0, downloads));
    const altered = fault.downloads?.[0].flip;
    if (!altered) assert.equal(server.sent, renditions[`${outcome.form}/${outcome.encoding}`].length, 'nothing is sent twice');
    assert.equal(await app.sync(), 0);
  });
}

test('a launch that goes on where an earlier one was killed takes the rest from the URL', async (t) => {
  const server = await seedbed(t, { inline: true, downloads: [{ stall: HUNDRED_K }] });
  const phone = await device(t);
  const app = await phone.app();
  const launch = app.tryToOpen({ url: server.url });
  await app.until(({ stage }) => stage === 'downloading' || stage === 'finishing');
  if (!server.questions[0].inline) return t.skip('not in this package');
  await app.until(({ stage, bytes }) => stage === 'downloading' && bytes > 0);
  await app.kill();
  await launch.catch(() => {});
  const again = await phone.app();
  const outcome = await again.open({ url: server.url });
  assert.deepEqual([outcome.outcome, outcome.resumes], ['installed', 1]);
  assert.deepEqual(await again.rows(), await service.rows());
  assert.ok(server.served.at(-1).from > 0);
});

test('a newer snapshot that takes the place of the old one in the middle is downloaded instead', async (t) => {
  const server = await seedbed(t, { downloads: [{ expireAfter: HUNDRED_K }] });
  const newer = await makeRenditions((db) => db.exec('PRAGMA user_version = 7'));
  const app = await (await device(t)).app();
  const launch = app.open({ url: server.url });
  await app.until(({ stage, bytes }) => stage === 'downloading' && bytes > 0);
  server.renditions = newer;
  assert.equal((await launch).outcome, 'installed');
  assert.deepEqual(await app.rows(), await service.rows());
});

test("a file whose own schema is newer than the SDK's is refused", async (t) => {
  const future = await makeRenditions((db) => db.exec("INSERT INTO ps_migration (id, down_migrations) VALUES (99, '[]')"));
  const server = await seedbed(t, { renditions: future });
  const phone = await device(t);
  const app = await phone.app();
  const outcome = await app.open({ url: server.url });
  assert.deepEqual([outcome.outcome, outcome.reason], ['sync', 'newer_core']);
  assert.deepEqual(await phone.leftovers(), []);
});

test('a file that is no database is removed', async (t) => {
  const junk = { 'file/identity': Buffer.from('<html>'.repeat(1000)) };
  const server = await seedbed(t, { renditions: junk });
  const phone = await device(t);
  const app = await phone.app();
  const outcome = await app.open({ url: server.url });
  assert.deepEqual([outcome.outcome, outcome.reason], ['sync', 'not_openable']);
  assert.deepEqual(await phone.leftovers(), []);
});

for (const [what, fault] of [
  ['unpacks to more than it says', { change: (answer) => ({ ...answer, unpackedBytes: 10_000 }) }],
  ['was unpacked on the way', { transcoded: true }]
]) {
  test(`a compressed file that ${what} is not used, but the plain one`, async (t) => {
    const { 'file/identity': file, 'file/gzip': gzip } = renditions;
    const server = await seedbed(t, { renditions: { 'file/gzip': gzip, 'file/identity': file }, ...fault });
    const phone = await device(t);
    const app = await phone.app();
    if (!app.about.encodings.includes('gzip')) return t.skip('not in this package');
    const outcome = await app.open({ url: server.url });
    assert.deepEqual([outcome.outcome, outcome.encoding], ['installed', 'identity']);
    assert.deepEqual(server.questions.map(({ encoding }) => encoding), [app.about.encodings.join(','), 'identity']);
    assert.deepEqual(await app.rows(), await service.rows());
    assert.deepEqual(await phone.leftovers(), []);
  });
}

test('offline at the first launch, online at the second', async (t) => {
  const server = await seedbed(t);
  await server.stop();
  const phone = await device(t);
  const app = await phone.app();
  const offline = await app.open({ url: server.url });
  assert.deepEqual([offline.outcome, offline.reason], ['sync', 'offline']);
  await app.quit();
  await server.start();
  const again = await phone.app();
  assert.equal((await again.open({ url: server.url })).outcome, 'installed');
  assert.deepEqual(await again.rows(), await service.rows());
});

test('with `fail`, the app gets a code, and the bytes stay for the next launch', async (t) => {
  const server = await seedbed(t, { downloads: [{ cut: HUNDRED_K }, { status: 500 }], ever: true });
  const phone = await device(t);
  const app = await phone.app();
  const failed = await app.tryToOpen({ url: server.url, whenUnavailable: 'fail' });
  assert.deepEqual([failed.ok, failed.code], [false, 'server_error']);
  server.downloads = [];
  const again = await phone.app();
  const outcome = await again.open({ url: server.url, whenUnavailable: 'fail' });
  assert.equal(outcome.outcome, 'installed');
  if (!app.about.loses) assert.equal(outcome.resumes, 1);
  const lost = server.sent - renditions[`${outcome.form}/${outcome.encoding}`].length;
  assert.ok(lost <= (app.about.loses ?? 0), `${lost} bytes were sent twice`);
  assert.deepEqual(await phone.leftovers(), []);
});

test('with `wait`, the app waits until there is a snapshot', async (t) => {
  const server = await seedbed(t);
  await server.stop();
  const app = await (await device(t)).app();
  const launch = app.open({ url: server.url, whenUnavailable: 'wait' });
  await app.until(({ stage }) => stage === 'waiting');
  await server.start();
  assert.equal((await launch).outcome, 'installed');
  assert.deepEqual(await app.rows(), await service.rows());
});

test('with `wait`, a reason that lasts is an error', async (t) => {
  const server = await seedbed(t, { answers: [{ status: 403, error: 'wrong_store' }] });
  const app = await (await device(t)).app();
  const failed = await app.tryToOpen({ url: server.url, whenUnavailable: 'wait' });
  assert.deepEqual([failed.ok, failed.code], [false, 'wrong_store']);
});

test('a cancelled launch ends at once, and the next one goes on where it was', async (t) => {
  const server = await seedbed(t, { pace: 20 });
  const phone = await device(t);
  const app = await phone.app();
  const launch = app.tryToOpen({ url: server.url });
  await app.until(({ stage, bytes }) => stage === 'downloading' && bytes > 0);
  const started = performance.now();
  await app.tell('cancel');
  const cancelled = await launch;
  assert.deepEqual([cancelled.ok, cancelled.code], [false, 'cancelled']);
  assert.ok(performance.now() - started < 1000);
  server.pace = 0;
  const again = await phone.app();
  const outcome = await again.open({ url: server.url });
  assert.equal(outcome.outcome, 'installed');
  if (!app.about.loses) assert.equal(outcome.resumes, 1);
  assert.deepEqual(await phone.leftovers(), []);
});

test('a device whose disk is full syncs as far as it can, and installs once there is room', async (t) => {
  if (!setUp.smallDisk) return t.skip('no disk of its own');
  const large = await makeRenditions((db) =>
    db.exec('CREATE TABLE ps_data__large (id TEXT, data TEXT); INSERT INTO ps_data__large VALUES (1, hex(randomblob(2000000)))')
  );
  const server = await seedbed(t, { renditions: { 'file/identity': large['file/identity'] } });
  const phone = await device(t, setUp.smallDisk);
  const app = await phone.app();
  const outcome = await app.open({ url: server.url });
  assert.deepEqual([outcome.outcome, outcome.reason], ['sync', 'disk_full']);
  if (app.about.free !== false) assert.equal(server.served.length, 0, 'asked for before anything is downloaded');
  assert.deepEqual(await phone.leftovers(), []);
  await app.quit();

  // Something else takes the room in the middle.
  const slow = await seedbed(t, { pace: 20, renditions: { 'file/identity': renditions['file/identity'] } });
  const second = await phone.app();
  const launch = second.tryToOpen({ url: slow.url });
  await second.until(({ stage, bytes }) => stage === 'downloading' && bytes > 0);
  const filler = join(setUp.smallDisk, 'filler');
  await writeFile(filler, Buffer.alloc(4_000_000)).catch(() => {});
  // Whether the SDK can open a database then is another matter.
  const { outcome: full } = await launch;
  assert.deepEqual([full.outcome, full.reason], ['sync', 'disk_full']);
  assert.deepEqual(await phone.leftovers(), []);
  await rm(filler);

  const small = await seedbed(t);
  // Whatever the SDK still holds of a database that it could not open goes with the process.
  await second.kill();
  const third = await phone.app();
  assert.equal((await third.open({ url: small.url })).outcome, 'installed');
  assert.deepEqual(await third.rows(), await service.rows());
});
