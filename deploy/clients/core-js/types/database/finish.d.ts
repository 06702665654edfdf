/** @typedef {import('../platform.js').Connection} Connection */
/**
 * @typedef {object} Finishing
 * @property {import('../snapshot/ask.js').Rendition} rendition
 * @property {import('./inspect.js').Record} record
 * @property {((connection: Connection) => Promise<void>) | undefined} prepare
 * @property {string} [key] Of a sealed file.
 */
/**
 * Finishes the staged file, unless it is.
 *
 * A process that is killed leaves it finished or as it was: SQLite's journal decides when it is opened again.
 *
 * @param {import('../platform.js').Platform} platform
 * @param {string} staged
 * @param {Finishing} finishing
 * @throws {SeedbedError} `newer_core`, `not_openable`, `disk_full`.
 */
export function finish(platform: import("../platform.js").Platform, staged: string, finishing: Finishing): Promise<void>;
/**
 * Says whose database it is, if nothing says so yet.
 *
 * @param {Pick<Connection, 'query'>} connection
 * @param {import('./inspect.js').Record} record
 */
export function writeRecord({ query }: Pick<Connection, "query">, record: import("./inspect.js").Record): Promise<void>;
export type Connection = import("../platform.js").Connection;
export type Finishing = {
    rendition: import("../snapshot/ask.js").Rendition;
    record: import("./inspect.js").Record;
    prepare: ((connection: Connection) => Promise<void>) | undefined;
    /**
     * Of a sealed file.
     */
    key?: string | undefined;
};
