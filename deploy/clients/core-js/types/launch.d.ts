/** Pauses of `wait`: the first is a sixth of the silence limit, 5 seconds; the longest twice the limit, a minute. */
export const FIRST: number;
export const LONGEST: 2;
/** One launch. */
export class Launch {
    /**
     * @param {import('./platform.js').Platform} platform
     * @param {string} database Where the SDK opens it.
     * @param {import('./source.js').SnapshotSource} source
     */
    constructor(platform: import("./platform.js").Platform, database: string, source: import("./source.js").SnapshotSource);
    platform: import("./platform.js").Platform;
    paths: Paths;
    source: import("./source.js").SnapshotSource;
    /** @type {import('./database/inspect.js').Record} */
    record: import("./database/inspect.js").Record;
    course: Course;
    outcome: import("./source.js").Outcome;
    /** @type {import('./database/lock.js').Lock | undefined} */
    lock: import("./database/lock.js").Lock | undefined;
    /** @type {import('./snapshot/ask.js').Early | undefined} */
    early: import("./snapshot/ask.js").Early | undefined;
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
    inspect(): Promise<import("./database/inspect.js").Inspection>;
    /**
     * @param {import('./database/inspect.js').Inspection} inspection
     * @throws {SeedbedError} `wrong_store`.
     */
    checked(inspection: import("./database/inspect.js").Inspection): import("./database/inspect.js").Inspection;
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
}
import { Paths } from './platform.js';
import { Course } from './source.js';
import { SeedbedError } from './reasons.js';
