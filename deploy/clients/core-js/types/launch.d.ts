/** One launch. */
export class Launch {
    /**
     * @param {import('./platform.js').Platform} platform
     * @param {string} database Where the SDK opens it.
     * @param {SnapshotSource} source
     */
    constructor(platform: import("./platform.js").Platform, database: string, source: SnapshotSource);
    platform: import("./platform.js").Platform;
    paths: Paths;
    source: SnapshotSource;
    /** @type {import('./inspect.js').Record} */
    record: import("./inspect.js").Record;
    /** @type {Outcome} */
    outcome: Outcome;
    /** @type {import('./lock.js').Lock | undefined} */
    lock: import("./lock.js").Lock | undefined;
    stage: {
        name: Progress["stage"] | undefined;
        since: number;
    };
    /**
     * Puts the snapshot where the SDK will open the database, if what is there may be replaced.
     *
     * @returns {Promise<SeedbedError | undefined>} Why there is no snapshot; undefined if there is, or if the database is kept.
     * @throws {SeedbedError} As `whenUnavailable` says; if it is another store's; if cancelled.
     */
    run(): Promise<SeedbedError | undefined>;
    /** Lets other launches go on: once the database is open, since the SDK's first statements wait for no lock. */
    end(): Promise<void>;
    /** Whether there is anything of a launch: one that goes on, or one that was killed. */
    isUnderWay(): Promise<boolean>;
    /** INSPECT: leaves the database as it was. */
    inspect(): Promise<import("./inspect.js").Inspection>;
    /**
     * LOCKED: leaves an empty lock file.
     *
     * @param {AbortSignal} signal
     */
    locked(signal: AbortSignal): Promise<SeedbedError | undefined>;
    /**
     * @param {import('./reasons.js').Kept} kept
     * @returns {undefined}
     */
    keep(kept: import("./reasons.js").Kept): undefined;
    /**
     * UNAVAILABLE: leaves less and less of the launch's files.
     *
     * @param {SeedbedError} error
     */
    unavailable(error: SeedbedError): Promise<SeedbedError>;
    /**
     * From a question to an installed database.
     *
     * @param {AbortSignal} signal
     * @returns {Promise<undefined>}
     */
    attempt(signal: AbortSignal): Promise<undefined>;
    /**
     * WAITING, DOWNLOADING and UNPACKING, as far as an earlier launch has not done them.
     *
     * @param {Note} note
     * @param {AbortSignal} signal
     * @returns {Promise<import('./ask.js').Rendition>} What the staged file is.
     */
    staged(note: Note, signal: AbortSignal): Promise<import("./ask.js").Rendition>;
    /**
     * WAITING: leaves what was there.
     *
     * @param {AbortSignal} signal
     */
    askPatiently(signal: AbortSignal): Promise<import("./ask.js").Snapshot>;
    /** @param {AbortSignal} signal */
    ask(signal: AbortSignal): Promise<import("./ask.js").Snapshot>;
    /**
     * DOWNLOADING: leaves the note, and a part that ends anywhere.
     *
     * @param {import('./ask.js').Snapshot} snapshot
     * @param {Note} note
     * @param {AbortSignal} signal
     */
    download({ rendition, databaseUrl }: import("./ask.js").Snapshot, note: Note, signal: AbortSignal): Promise<void>;
    /**
     * UNPACKING: leaves the part, and perhaps a staged file that is not whole.
     *
     * @param {import('./ask.js').Rendition} rendition
     * @param {AbortSignal} signal
     */
    unpack({ encoding, bytes, sha256, unpackedBytes, unpackedSha256 }: import("./ask.js").Rendition, signal: AbortSignal): Promise<void>;
    /**
     * @param {import('./ask.js').Rendition} rendition
     * @param {number} left Bytes to download.
     */
    needDisk({ form, encoding, bytes, unpackedBytes }: import("./ask.js").Rendition, left: number): Promise<void>;
    /** Aborts when the app does, or after `timeLimit`. */
    cancelling(): {
        signal: AbortSignal;
        end: () => void;
    };
    /**
     * @param {Progress['stage'] | undefined} name
     * @param {number} bytes
     * @param {number | undefined} total
     */
    enter(name: Progress["stage"] | undefined, bytes: number, total: number | undefined): void;
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
     */
    form?: "file" | "compact" | undefined;
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
export type Progress = {
    stage: "waiting" | "downloading" | "unpacking" | "finishing";
    bytes: number;
    total: number | undefined;
};
export type Outcome = {
    outcome: "kept" | "installed" | "sync" | "failed";
    reason: import("./reasons.js").Kept | import("./reasons.js").Reason | undefined;
    form: "file" | "compact" | undefined;
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
import { Paths } from './platform.js';
import { SeedbedError } from './reasons.js';
import { Note } from './note.js';
