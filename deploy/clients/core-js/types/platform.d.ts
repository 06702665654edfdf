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
export function isPacked(encoding: Encoding): encoding is "gzip" | "zstd";
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
export function withSqlite<T>(platform: Platform, path: string, work: (connection: Connection) => Promise<T>): Promise<T>;
/**
 * Removes a database with SQLite's other files.
 *
 * @param {Files} files
 * @param {string} database
 */
export function removeDatabase(files: Files, database: string): Promise<void>;
/**
 * Removes what SQLite would take for the database's own: a WAL or journal that another one has left.
 *
 * @param {Files} files
 * @param {string} database
 */
export function removeCompanions(files: Files, database: string): Promise<void>;
/**
 * Removes whatever launches have left, but for the lock.
 *
 * @param {Files} files
 * @param {Paths} paths
 */
export function removeLeftovers(files: Files, paths: Paths): Promise<void>;
/** The files of a launch, beside the database. */
export class Paths {
    /** @param {string} database */
    constructor(database: string);
    database: string;
    note: string;
    part: string;
    staged: string;
    lock: string;
}
export type Platform = {
    /**
     * For reports: `node`, `react-native`.
     */
    name: string;
    /**
     * The package's, for reports.
     */
    version: string;
    files: Files;
    /**
     * Opens or creates a database (or `:memory:`) by the SQLite library that the
     * SDK uses in this app, with PowerSync's core extension and the app's key. It waits for no lock.
     */
    openSqlite: (path: string) => Promise<Connection>;
    /**
     * Whether it can: if not, there is no form but `stream`, and the database is looked at once the SDK has
     * opened it.
     */
    bare?: boolean | undefined;
    /**
     * With streams, unless `chunk` is set.
     */
    fetch: typeof globalThis.fetch;
    /**
     * Bytes to ask for at a time, where `fetch` has no streams.
     */
    chunk?: number | undefined;
    /**
     * Whether `fetch` unpacks what an answer calls gzip, and cannot be told not to: a browser's.
     */
    decodes?: boolean | undefined;
    /**
     * Takes the launch lock, where
     * SQLite's own do not serve.
     */
    lock?: ((path: string, signal: AbortSignal) => Promise<import("./database/lock.js").Lock>) | undefined;
    /**
     * Does it while nothing has the database open, or says `in_use`, where
     * SQLite's own locks do not serve.
     */
    alone?: ((path: string, work: () => Promise<import("./reasons.js").Kept | undefined>) => Promise<import("./reasons.js").Kept | undefined>) | undefined;
    /**
     * Waits until every connection of an open database sees what one of them has written,
     * where they learn of it some time later.
     */
    settled?: ((db: any) => Promise<void>) | undefined;
    /**
     * What it can unpack, best first; `identity` is always among them.
     */
    encodings: Encoding[];
    /**
     * Whether the app opens its database with a key.
     */
    encrypted?: boolean | undefined;
    /**
     * How it opens sealed files, if the app wants its encrypted database from one.
     */
    sealed?: Sealed | undefined;
    /**
     * The app's schema as JSON, as the SDK gives it to `powersync_replace_schema`.
     */
    schema: () => string;
};
export type Encoding = "identity" | "gzip" | "zstd" | Cipher;
/**
 * What a sealed file is encrypted with.
 */
export type Cipher = "sqlcipher4" | "chacha20";
/**
 * What opens sealed files: the SQLite library of an app whose database has a key.
 */
export type Sealed = {
    /**
     * That of the app's own database too.
     */
    format: Cipher;
    /**
     * The same as `openSqlite`, with the key of a sealed file: 32
     * bytes in hex.
     */
    open: (path: string, key: string) => Promise<Connection>;
    /**
     * Encrypts the database anew, with the app's key: `openSqlite` opens it then.
     */
    rekey: (connection: Connection) => Promise<void>;
};
export type Files = {
    /**
     * In bytes; undefined if there is no such file.
     */
    size: (path: string) => Promise<number | undefined>;
    read: (path: string) => Promise<string>;
    /**
     * Replaces what is there as a whole: writes
     * `PATH.new`, and renames it.
     */
    write: (path: string, text: string) => Promise<void>;
    /**
     * Does nothing if there is no such file.
     */
    remove: (path: string) => Promise<void>;
    /**
     * Renames over what is there.
     */
    replace: (from: string, to: string) => Promise<void>;
    /**
     * Renames; false if something is there.
     */
    place: (from: string, to: string) => Promise<boolean>;
    /**
     * Opens for writing at `offset`, which is the
     * size, or 0: then what is there goes.
     */
    append: (path: string, offset: number) => Promise<Sink>;
    /**
     * Hexadecimal.
     */
    sha256: (path: string) => Promise<string>;
    /**
     * Writes a new file `to`, and brings it
     * to the disk. Fails beyond `limit` bytes. `more`, where the platform `follows`: waits until there are bytes beyond those
     * that have been read, and says how many there are; no more come if it says the same.
     */
    unpack: (encoding: Encoding, from: string, to: string, limit: number, onBytes: (bytes: number) => void, signal: AbortSignal, more?: (at: number) => Promise<number>) => Promise<void>;
    /**
     * Whether `unpack` can read a file that still grows.
     */
    follows?: boolean | undefined;
    /**
     * Brings a file to the disk.
     */
    sync: (path: string) => Promise<void>;
    /**
     * Bytes that are free for `path`; undefined if the platform
     * does not say.
     */
    free: (path: string) => Promise<number | undefined>;
    /**
     * Whether an open file cannot be renamed over.
     */
    closeFirst?: boolean | undefined;
};
export type Sink = {
    write: (bytes: Uint8Array) => Promise<void>;
    close: () => Promise<void>;
};
export type Connection = {
    /**
     * The rows, each as a list.
     */
    query: (sql: string, parameters?: any[]) => Promise<any[][]>;
    close: () => Promise<void>;
};
