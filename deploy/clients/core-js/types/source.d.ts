/** What an app says about a launch, and what it is told. */
/**
 * @typedef {object} SnapshotSource
 * @property {string} url Where `seedbed serve` answers: `https://seedbed.example.com/database`.
 * @property {string} storeId The store whose snapshot is wanted.
 * @property {() => Promise<string>} getToken The user's token, which must allow the store. Not asked for when the database
 *   is kept.
 * @property {'file' | 'compact' | 'stream'} [form] `file` by default. `compact` is a fraction of the bytes; the device finishes it.
 *   `stream` is a first sync from Seedbed by the SDK's own connection, and the form of a database with a key, whatever is asked for,
 *   unless there is a sealed file for it (`encryption`).
 * @property {Encryption} [encryption] Where the package takes it: encrypts the app's database, and has it begin with a sealed file.
 * @property {(db: any) => unknown} [subscribe] Subscribes to the streams that the snapshot has, beyond the default ones: `stream` only.
 * @property {'sync' | 'wait' | 'fail'} [whenUnavailable] What to do without a snapshot: open an empty database, so that
 *   `connect` does the normal initial sync (default); keep trying; or throw a `SeedbedError`.
 * @property {(progress: Progress) => void} [onProgress]
 * @property {(outcome: Outcome) => void} [onOutcome] Called once, when the database is open or the launch has failed.
 * @property {AbortSignal} [signal] Cancels the launch; what has been downloaded stays for the next one.
 * @property {string} [endpoint] The PowerSync service that the app connects to. A snapshot of another one is refused.
 * @property {string} [account] Who uses the database. One of another account is refused.
 * @property {string | number} [generation] The generation that the app needs.
 * @property {number} [maxAge] Seconds since the snapshot was verified.
 * @property {(connection: import('./platform.js').Connection) => Promise<void>} [prepare] Makes the app's raw tables, before
 *   a compact file is finished.
 * @property {number} [silenceLimit] Milliseconds without a byte after which a request is given up. 30 seconds by default.
 * @property {number} [waitLimit] Milliseconds to wait for a store that is being seeded, or a busy server. Two minutes by
 *   default.
 * @property {number} [timeLimit] Milliseconds for all of it. None by default.
 * @property {boolean | string} [report] Sends an anonymous report of a first launch: `true`, or the URL of `POST /reports`.
 *   Off by default.
 */
/**
 * @typedef {object} Encryption
 * @property {string} key The app's own key, as its SQLite library takes it: a passphrase, or a raw key in the library's notation.
 * @property {import('./platform.js').Cipher} [format] Of the app's database and of the file: that of the package by default.
 */
/**
 * @typedef {object} Progress
 * @property {'waiting' | 'downloading' | 'unpacking' | 'finishing'} stage
 * @property {number} bytes In the form `stream`, operations.
 * @property {number | undefined} total
 */
/**
 * @typedef {object} Outcome
 * @property {'kept' | 'installed' | 'sync' | 'failed'} outcome
 * @property {import('./reasons.js').Kept | import('./reasons.js').Reason | undefined} reason
 * @property {'file' | 'compact' | 'stream' | undefined} form
 * @property {import('./platform.js').Encoding | undefined} encoding
 * @property {number} bytes That came over the network.
 * @property {number} resumes
 * @property {Partial<Record<Progress['stage'], number>>} seconds
 * @property {string | undefined} core The version of the SDK's core extension.
 */
/** Where the limits of a source have no value: milliseconds. */
export const SILENCE_LIMIT: 30000;
export const WAIT_LIMIT: 120000;
/** What an app and a report are told about a launch: the stage it is in, and what has come of it. */
export class Course {
    /** @param {SnapshotSource} source */
    constructor({ onProgress }: SnapshotSource);
    onProgress: ((progress: Progress) => void) | undefined;
    /** @type {Outcome} */
    outcome: Outcome;
    /** @type {{ name: Progress['stage'] | undefined, since: number }} */
    stage: {
        name: Progress["stage"] | undefined;
        since: number;
    };
    /**
     * @param {Progress['stage'] | undefined} name Undefined when the launch ends.
     * @param {number} [bytes]
     * @param {number} [total]
     */
    enter(name: Progress["stage"] | undefined, bytes?: number, total?: number): void;
    /**
     * @param {number} bytes
     * @param {number | undefined} total
     */
    progress(bytes: number, total: number | undefined): void;
}
export type SnapshotSource = {
    /**
     * Where `seedbed serve` answers: `https://seedbed.example.com/database`.
     */
    url: string;
    /**
     * The store whose snapshot is wanted.
     */
    storeId: string;
    /**
     * The user's token, which must allow the store. Not asked for when the database
     * is kept.
     */
    getToken: () => Promise<string>;
    /**
     * `file` by default. `compact` is a fraction of the bytes; the device finishes it.
     * `stream` is a first sync from Seedbed by the SDK's own connection, and the form of a database with a key, whatever is asked for,
     * unless there is a sealed file for it (`encryption`).
     */
    form?: "compact" | "file" | "stream" | undefined;
    /**
     * Where the package takes it: encrypts the app's database, and has it begin with a sealed file.
     */
    encryption?: Encryption | undefined;
    /**
     * Subscribes to the streams that the snapshot has, beyond the default ones: `stream` only.
     */
    subscribe?: ((db: any) => unknown) | undefined;
    /**
     * What to do without a snapshot: open an empty database, so that
     * `connect` does the normal initial sync (default); keep trying; or throw a `SeedbedError`.
     */
    whenUnavailable?: "sync" | "wait" | "fail" | undefined;
    onProgress?: ((progress: Progress) => void) | undefined;
    /**
     * Called once, when the database is open or the launch has failed.
     */
    onOutcome?: ((outcome: Outcome) => void) | undefined;
    /**
     * Cancels the launch; what has been downloaded stays for the next one.
     */
    signal?: AbortSignal | undefined;
    /**
     * The PowerSync service that the app connects to. A snapshot of another one is refused.
     */
    endpoint?: string | undefined;
    /**
     * Who uses the database. One of another account is refused.
     */
    account?: string | undefined;
    /**
     * The generation that the app needs.
     */
    generation?: string | number | undefined;
    /**
     * Seconds since the snapshot was verified.
     */
    maxAge?: number | undefined;
    /**
     * Makes the app's raw tables, before
     * a compact file is finished.
     */
    prepare?: ((connection: import("./platform.js").Connection) => Promise<void>) | undefined;
    /**
     * Milliseconds without a byte after which a request is given up. 30 seconds by default.
     */
    silenceLimit?: number | undefined;
    /**
     * Milliseconds to wait for a store that is being seeded, or a busy server. Two minutes by
     * default.
     */
    waitLimit?: number | undefined;
    /**
     * Milliseconds for all of it. None by default.
     */
    timeLimit?: number | undefined;
    /**
     * Sends an anonymous report of a first launch: `true`, or the URL of `POST /reports`.
     * Off by default.
     */
    report?: string | boolean | undefined;
};
export type Encryption = {
    /**
     * The app's own key, as its SQLite library takes it: a passphrase, or a raw key in the library's notation.
     */
    key: string;
    /**
     * Of the app's database and of the file: that of the package by default.
     */
    format?: import("./platform.js").Cipher | undefined;
};
export type Progress = {
    stage: "waiting" | "downloading" | "unpacking" | "finishing";
    /**
     * In the form `stream`, operations.
     */
    bytes: number;
    total: number | undefined;
};
export type Outcome = {
    outcome: "kept" | "installed" | "sync" | "failed";
    reason: import("./reasons.js").Kept | import("./reasons.js").Reason | undefined;
    form: "file" | "compact" | "stream" | undefined;
    encoding: import("./platform.js").Encoding | undefined;
    /**
     * That came over the network.
     */
    bytes: number;
    resumes: number;
    seconds: Partial<Record<Progress["stage"], number>>;
    /**
     * The version of the SDK's core extension.
     */
    core: string | undefined;
};
