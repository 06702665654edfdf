/**
 * Opens a PowerSync database that starts from a Seedbed snapshot instead of an initial sync: what `../node` does, step
 * by step, on React Native.
 *
 * Needs a development build with `@powersync/react-native` 2.1 and its peer `@op-engineering/op-sqlite`, and
 * `expo-file-system` 58 (for `File.digest`).
 */

import { LogLevels, PowerSyncDatabase, type Schema } from '@powersync/react-native';
import { File, Paths } from 'expo-file-system';

export interface SnapshotSource {
  /** Where `seedbed serve` answers: `https://seedbed.example.com/database`. */
  url: string;
  /** The store whose snapshot is wanted. */
  storeId: string;
  /** The user's token, which must allow the store. Not asked for when there is a file. */
  getToken: () => Promise<string>;
  /** Milliseconds until the snapshot is in place; after that, the app does its initial sync. */
  timeLimit?: number;
}

interface Snapshot {
  databaseUrl: string;
  bytes: number;
  sha256: string;
}

/**
 * Opens `dbFilename` in the app's documents, after installing the store's snapshot if there is no file yet. The
 * database is ready to read, and not connected. Without a snapshot, for any reason, it is empty, and `connect`
 * does the normal initial sync.
 *
 * Call it once for a file, not in an effect: React runs effects twice in its strict mode.
 */
export async function openSeeded(
  schema: Schema,
  dbFilename: string,
  source: SnapshotSource
): Promise<PowerSyncDatabase> {
  const file = new File(Paths.document, dbFilename);
  let installed = false;
  let failure: unknown;
  try {
    installed = await installSnapshot(file, source);
  } catch (error) {
    failure = error;
  }
  let db: PowerSyncDatabase;
  try {
    db = await open(schema, dbFilename);
  } catch (error) {
    // A file that was there before may hold what its user has written. One that was installed just now does not.
    if (!installed) throw error;
    failure = error;
    remove(file);
    removeCompanions(file);
    db = await open(schema, dbFilename);
  }
  if (failure) db.logger.log({ level: LogLevels.warn, message: 'starting without a snapshot', error: failure });
  return db;
}

/** Opens what is there, or an empty database. */
async function open(schema: Schema, dbFilename: string): Promise<PowerSyncDatabase> {
  // op-sqlite wants a path, expo-file-system has URLs. On iOS the path changes with each update of the app.
  const dbLocation = decodeURIComponent(Paths.document.uri.replace(/^file:\/\//, ''));
  const db = new PowerSyncDatabase({ schema, database: { dbFilename, dbLocation } });
  await db.init();
  // A snapshot has no client_id, and two clients must never share one: see ../node/index.js.
  await db.execute("INSERT OR IGNORE INTO ps_kv (key, value) VALUES ('client_id', uuid())");
  return db;
}

/** Installs the store's snapshot atomically, unless a file is there. Returns whether it installed one. */
async function installSnapshot(file: File, { timeLimit = 120_000, ...source }: SnapshotSource): Promise<boolean> {
  if (file.exists) return false;
  const deadline = Date.now() + timeLimit;
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), timeLimit);
  // Beside its target, so that the move is a rename. What a killed app has left is overwritten.
  const partial = new File(`${file.uri}.partial`);
  try {
    const snapshot = await askForSnapshot(source, deadline, abort.signal);
    await download(snapshot, partial, abort.signal);
    // SQLite would apply a journal or WAL left by a removed database to the new one.
    removeCompanions(file);
    // Another object: moving changes the URL of the one that is moved.
    await new File(partial.uri).move(file, { overwrite: false });
    return true;
  } finally {
    clearTimeout(timer);
    remove(partial);
  }
}

/** Asks until there is a snapshot, an answer that will not change, or no time. */
async function askForSnapshot(
  { url, storeId, getToken }: SnapshotSource,
  deadline: number,
  signal: AbortSignal
): Promise<Snapshot> {
  // A rendition that is no database itself would have to be unpacked first.
  const address = `${url}?store_id=${encodeURIComponent(storeId)}&encoding=identity`;
  for (;;) {
    const answer = await fetch(address, { headers: { authorization: `Bearer ${await getToken()}` }, signal });
    const body = await answer.json().catch(() => ({}));
    if (answer.status === 200) return checkedSnapshot(body);
    // 202: it is being seeded. 429, 503: too many ask at once. Each comes with the time after which to ask again.
    const pause = 1000 * Math.max(1, Number(answer.headers.get('retry-after') ?? NaN));
    if (![202, 429, 503].includes(answer.status) || !(Date.now() + pause < deadline)) {
      throw new Error(`no snapshot of the store: ${answer.status} ${body.error ?? ''} ${body.message ?? ''}`.trimEnd());
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

function checkedSnapshot({ databaseUrl, bytes, sha256 }: Partial<Snapshot>): Snapshot {
  // Without these two a damaged file would not be noticed.
  if (!databaseUrl || !bytes || !sha256) {
    throw new Error('the answer names no snapshot: is the URL that of GET /database?');
  }
  return { databaseUrl, bytes, sha256 };
}

async function download({ databaseUrl, bytes, sha256 }: Snapshot, partial: File, signal: AbortSignal): Promise<void> {
  // The URL is its own authorization: a token in addition to the signature makes S3 refuse it.
  await File.downloadFileAsync(databaseUrl, partial, {
    headers: { 'accept-encoding': 'identity' },
    idempotent: true,
    signal
  });
  if (partial.size !== bytes) throw new Error(`the snapshot has ${partial.size} bytes instead of ${bytes}`);
  if ((await partial.digest('SHA-256')) !== sha256.toLowerCase()) {
    throw new Error('the snapshot was altered on the way: its sha256 differs');
  }
}

function removeCompanions(file: File): void {
  for (const suffix of ['-wal', '-shm', '-journal']) remove(new File(file.uri + suffix));
}

function remove(file: File): void {
  if (file.exists) file.delete();
}
