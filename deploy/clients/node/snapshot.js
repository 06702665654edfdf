/**
 * Installs the newest snapshot of a store where PowerSync will open its database, atomically: a process that is
 * killed at any moment leaves all of it or nothing.
 */

import { createHash, randomUUID } from 'node:crypto';
import { link, open, readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout } from 'node:timers/promises';

/**
 * @typedef {object} SnapshotSource
 * @property {string} url Where `seedbed serve` answers: `https://seedbed.example.com/database`.
 * @property {string} storeId The store whose snapshot is wanted.
 * @property {() => Promise<string>} getToken The user's token, which must allow the store. Not asked for when there is
 *   a file.
 * @property {number} [timeLimit] Milliseconds until the snapshot is in place, the wait for a store that is seeded on
 *   demand included; after that, the app does its initial sync. Two minutes by default.
 */

/**
 * What `GET /database` answers, as far as it is used here.
 *
 * @typedef {object} Snapshot
 * @property {string} databaseUrl Signed: anyone who has it can download the snapshot until it expires.
 * @property {number} bytes
 * @property {string} sha256 Hexadecimal.
 */

const TIME_LIMIT = 120_000;

/**
 * Installs the store's snapshot at `file`, unless something is there.
 *
 * A process that is killed leaves either no `file` or a whole one, and perhaps a partial download, which a later start
 * removes.
 *
 * @param {string} file
 * @param {SnapshotSource} source
 * @returns {Promise<boolean>} Whether it installed one.
 * @throws When there is no snapshot, or it did not arrive as promised.
 */
export async function installSnapshot(file, { timeLimit = TIME_LIMIT, ...source }) {
  await removePartials(file, timeLimit);
  if (await exists(file)) return false;
  const deadline = Date.now() + timeLimit;
  const signal = AbortSignal.timeout(timeLimit);
  const snapshot = await askForSnapshot(source, deadline, signal);
  const partial = `${file}.${randomUUID()}.partial`;
  try {
    await download(snapshot, partial, signal);
    return await moveIntoPlace(partial, file);
  } finally {
    await rm(partial, { force: true });
  }
}

/**
 * Removes a database that no process has open, with SQLite's journal, WAL and shared memory files.
 *
 * @param {string} file
 */
export async function removeDatabase(file) {
  await rm(file, { force: true });
  await removeCompanions(file);
}

/**
 * Asks until there is a snapshot, an answer that will not change, or no time.
 *
 * @param {Omit<SnapshotSource, 'timeLimit'>} source
 * @param {number} deadline
 * @param {AbortSignal} signal
 * @returns {Promise<Snapshot>}
 */
async function askForSnapshot({ url, storeId, getToken }, deadline, signal) {
  const address = new URL(url);
  address.searchParams.set('store_id', storeId);
  // A rendition that is no database itself would have to be unpacked first.
  address.searchParams.set('encoding', 'identity');
  for (;;) {
    const answer = await fetch(address, { headers: { authorization: `Bearer ${await getToken()}` }, signal });
    const body = await answer.json().catch(() => ({}));
    if (answer.status === 200) return checkedSnapshot(body);
    // 202: it is being seeded. 429, 503: too many ask at once. Each comes with the time after which to ask again.
    const pause = 1000 * Math.max(1, Number(answer.headers.get('retry-after') ?? NaN));
    if (![202, 429, 503].includes(answer.status) || !(Date.now() + pause < deadline)) {
      throw new Error(`no snapshot of the store: ${answer.status} ${body.error ?? ''} ${body.message ?? ''}`.trimEnd());
    }
    await setTimeout(pause, undefined, { signal });
  }
}

/**
 * @param {any} body
 * @returns {Snapshot}
 */
function checkedSnapshot({ databaseUrl, bytes, sha256 }) {
  // Without these two a damaged file would not be noticed.
  if (!Number.isSafeInteger(bytes) || !/^[0-9a-f]{64}$/i.test(sha256) || !URL.canParse(databaseUrl)) {
    throw new Error('the answer names no snapshot: is the URL that of GET /database?');
  }
  return { databaseUrl, bytes, sha256 };
}

/**
 * Downloads to `partial`, which must not exist, and brings it to the disk.
 *
 * @param {Snapshot} snapshot
 * @param {string} partial
 * @param {AbortSignal} signal
 */
async function download({ databaseUrl, bytes, sha256 }, partial, signal) {
  // The URL is its own authorization: a token in addition to the signature makes S3 refuse it.
  const answer = await fetch(databaseUrl, { headers: { 'accept-encoding': 'identity' }, signal });
  if (answer.status !== 200 || !answer.body) {
    await answer.body?.cancel();
    throw new Error(`the snapshot cannot be downloaded: ${answer.status}`);
  }
  const hash = createHash('sha256');
  let received = 0;
  /** @param {AsyncIterable<Uint8Array>} chunks */
  const checked = async function* (chunks) {
    for await (const chunk of chunks) {
      received += chunk.length;
      if (received > bytes) throw new Error(`the snapshot has more than its ${bytes} bytes`);
      hash.update(chunk);
      yield chunk;
    }
    if (received < bytes) throw new Error(`the snapshot ended after ${received} of ${bytes} bytes`);
    if (hash.digest('hex') !== sha256.toLowerCase())
      throw new Error('the snapshot was altered on the way: its sha256 differs');
  };
  // Opened before anything can fail: a stream that opens by itself may create the file after it was cleaned up.
  const target = await open(partial, 'wx');
  await pipeline(answer.body, checked, target.createWriteStream({ flush: true }), { signal });
}

/**
 * @param {string} partial
 * @param {string} file
 * @returns {Promise<boolean>} False when another call has put a file there in the meantime.
 */
async function moveIntoPlace(partial, file) {
  // SQLite would apply a journal or WAL left by a removed database to the new one.
  if (await exists(file)) return false;
  await removeCompanions(file);
  try {
    // Unlike a rename, a link never replaces a file that another call has installed and opened.
    await link(partial, file);
    return true;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'EEXIST') return false;
    throw error;
  }
}

/** @param {string} file */
async function removeCompanions(file) {
  await Promise.all(['-wal', '-shm', '-journal'].map((suffix) => rm(file + suffix, { force: true })));
}

/**
 * Removes what killed processes have left. A download that is younger than the time limit may be another call's.
 *
 * @param {string} file
 * @param {number} timeLimit
 */
async function removePartials(file, timeLimit) {
  const directory = dirname(file);
  const names = await readdir(directory);
  const partials = names.filter((name) => name.startsWith(`${basename(file)}.`) && name.endsWith('.partial'));
  for (const name of partials) {
    const path = join(directory, name);
    const { mtimeMs } = await stat(path);
    if (Date.now() - mtimeMs > timeLimit) await rm(path, { force: true });
  }
}

/** @param {string} file */
async function exists(file) {
  const found = await stat(file).catch((error) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return found !== undefined;
}
