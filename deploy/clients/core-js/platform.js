/**
 * What a platform brings: files, SQLite and requests. Everything else is in the other files, once for all platforms.
 *
 * Paths are whatever the platform uses; this package only appends to them.
 */

/**
 * @typedef {object} Platform
 * @property {string} name For reports: `node`, `react-native`.
 * @property {string} version The package's, for reports.
 * @property {Files} files
 * @property {(path: string) => Promise<Connection>} openSqlite Opens or creates a database (or `:memory:`) by the SQLite library that the
 *   SDK uses in this app, with PowerSync's core extension and the app's key. It waits for no lock.
 * @property {boolean} [bare] Whether it can: if not, there is no form but `stream`, and the database is looked at once the SDK has
 *   opened it.
 * @property {typeof globalThis.fetch} fetch With streams, unless `chunk` is set.
 * @property {number} [chunk] Bytes to ask for at a time, where `fetch` has no streams.
 * @property {boolean} [decodes] Whether `fetch` unpacks what an answer calls gzip, and cannot be told not to: a browser's.
 * @property {(path: string, signal: AbortSignal) => Promise<import('./database/lock.js').Lock>} [lock] Takes the launch lock, where
 *   SQLite's own do not serve.
 * @property {(path: string, work: () => Promise<import('./reasons.js').Kept | undefined>) =>
 *   Promise<import('./reasons.js').Kept | undefined>} [alone] Does it while nothing has the database open, or says `in_use`, where
 *   SQLite's own locks do not serve.
 * @property {(db: any) => Promise<void>} [settled] Waits until every connection of an open database sees what one of them has written,
 *   where they learn of it some time later.
 * @property {Encoding[]} encodings What it can unpack, best first; `identity` is always among them.
 * @property {boolean} [encrypted] Whether the app opens its database with a key.
 * @property {Sealed} [sealed] How it opens sealed files, if the app wants its encrypted database from one.
 * @property {() => string} schema The app's schema as JSON, as the SDK gives it to `powersync_replace_schema`.
 */

/** @typedef {'identity' | 'gzip' | 'zstd' | Cipher} Encoding */

/** @typedef {'sqlcipher4' | 'chacha20'} Cipher What a sealed file is encrypted with. */

/**
 * What opens sealed files: the SQLite library of an app whose database has a key.
 *
 * @typedef {object} Sealed
 * @property {Cipher} format That of the app's own database too.
 * @property {(path: string, key: string) => Promise<Connection>} open The same as `openSqlite`, with the key of a sealed file: 32
 *   bytes in hex.
 * @property {(connection: Connection) => Promise<void>} rekey Encrypts the database anew, with the app's key: `openSqlite` opens it then.
 */

/**
 * Whether something has to be unpacked: what is plain, or sealed, is a database as it is.
 *
 * @param {Encoding} encoding
 */
export function isPacked(encoding) {
  return encoding === 'gzip' || encoding === 'zstd';
}

/**
 * @typedef {object} Files
 * @property {(path: string) => Promise<number | undefined>} size In bytes; undefined if there is no such file.
 * @property {(path: string) => Promise<string>} read
 * @property {(path: string, text: string) => Promise<void>} write Replaces what is there as a whole: writes
 *   `PATH.new`, and renames it.
 * @property {(path: string) => Promise<void>} remove Does nothing if there is no such file.
 * @property {(from: string, to: string) => Promise<void>} replace Renames over what is there.
 * @property {(from: string, to: string) => Promise<boolean>} place Renames; false if something is there.
 * @property {(path: string, offset: number) => Promise<Sink>} append Opens for writing at `offset`, which is the
 *   size, or 0: then what is there goes.
 * @property {(path: string) => Promise<string>} sha256 Hexadecimal.
 * @property {(encoding: Encoding, from: string, to: string, limit: number, onBytes: (bytes: number) => void,
 *   signal: AbortSignal, more?: (at: number) => Promise<number>) => Promise<void>} unpack Writes a new file `to`, and brings it
 *   to the disk. Fails beyond `limit` bytes. `more`, where the platform `follows`: waits until there are bytes beyond those
 *   that have been read, and says how many there are; no more come if it says the same.
 * @property {boolean} [follows] Whether `unpack` can read a file that still grows.
 * @property {(path: string) => Promise<void>} sync Brings a file to the disk.
 * @property {(path: string) => Promise<number | undefined>} free Bytes that are free for `path`; undefined if the platform
 *   does not say.
 * @property {boolean} [closeFirst] Whether an open file cannot be renamed over.
 */

/**
 * @typedef {object} Sink
 * @property {(bytes: Uint8Array) => Promise<void>} write
 * @property {() => Promise<void>} close
 */

/**
 * @typedef {object} Connection
 * @property {(sql: string, parameters?: any[]) => Promise<any[][]>} query The rows, each as a list.
 * @property {() => Promise<void>} close
 */

/**
 * Runs `work` with a connection, and closes it whatever happens.
 *
 * @template T
 * @param {Platform} platform
 * @param {string} path
 * @param {(connection: Connection) => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withSqlite(platform, path, work) {
  const connection = await platform.openSqlite(path);
  try {
    return await work(connection);
  } finally {
    await connection.close();
  }
}

/** The files of a launch, beside the database. */
export class Paths {
  /** @param {string} database */
  constructor(database) {
    this.database = database;
    this.note = `${database}.seedbed.json`;
    this.part = `${database}.seedbed.part`;
    this.staged = `${database}.seedbed.db`;
    this.lock = `${database}.seedbed.lock`;
  }
}

/** What SQLite, and its virtual file systems in browsers, keep beside a database. */
const COMPANIONS = ['-wal', '-shm', '-journal', '-wa0', '-wa1'];

/**
 * Removes a database with SQLite's other files.
 *
 * @param {Files} files
 * @param {string} database
 */
export async function removeDatabase(files, database) {
  await files.remove(database);
  await removeCompanions(files, database);
}

/**
 * Removes what SQLite would take for the database's own: a WAL or journal that another one has left.
 *
 * @param {Files} files
 * @param {string} database
 */
export async function removeCompanions(files, database) {
  for (const suffix of COMPANIONS) await files.remove(database + suffix);
}

/**
 * Removes whatever launches have left, but for the lock.
 *
 * @param {Files} files
 * @param {Paths} paths
 */
export async function removeLeftovers(files, paths) {
  await files.remove(paths.part);
  await removeDatabase(files, paths.staged);
  await files.remove(`${paths.note}.new`);
  await files.remove(paths.note);
}
