/**
 * Asks before anything else is done: the answer comes while SQLite and its threads start.
 *
 * @param {import('../platform.js').Platform} platform
 * @param {import('../source.js').SnapshotSource} source
 * @param {AbortSignal} signal
 */
export function askAhead(platform: import("../platform.js").Platform, source: import("../source.js").SnapshotSource, signal: AbortSignal): import("./ask.js").Early;
/** One attempt. */
export class Staging {
    /** @param {Parts} parts */
    constructor({ platform, paths, source, course, record, note, signal, early }: Parts);
    platform: import("../platform.js").Platform;
    paths: import("../platform.js").Paths;
    source: import("../source.js").SnapshotSource;
    course: import("../source.js").Course;
    record: import("../database/inspect.js").Record;
    note: import("./note.js").Note;
    signal: AbortSignal;
    early: import("./ask.js").Early | undefined;
    /** In place of those of the platform. @type {import('../platform.js').Encoding[] | undefined} */
    encodings: import("../platform.js").Encoding[] | undefined;
    /** Whether the snapshot may come with the answer: the first time, since what has broken off goes on from a URL. */
    inline: boolean;
    /** Of the sealed file. @type {string | undefined} */
    key: string | undefined;
    /** How the bytes have come. */
    encoding: import("../platform.js").Encoding | undefined;
    /**
     * Does what an earlier launch has not done.
     *
     * @returns {Promise<import('./ask.js').Rendition>} What the staged file is.
     */
    run(): Promise<import("./ask.js").Rendition>;
    /**
     * WAITING: leaves what was there.
     */
    askPatiently(): Promise<import("./ask.js").Snapshot>;
    ask(): Promise<import("./ask.js").Snapshot>;
    /**
     * DOWNLOADING: leaves the note, a part that ends anywhere, and perhaps a staged file that ends anywhere too.
     *
     * @param {import('./ask.js').Snapshot} snapshot
     * @returns {Promise<UnpackedAhead | undefined>} What was unpacked meanwhile, where the platform can.
     */
    download({ rendition, databaseUrl, packed, content }: import("./ask.js").Snapshot): Promise<UnpackedAhead | undefined>;
    /**
     * The same bytes without an encoding, so that they can be gone on with. The same again, if there is no such rendition.
     */
    askForPlain(): Promise<import("./ask.js").Snapshot | undefined>;
    /**
     * UNPACKING: leaves the part, and perhaps a staged file that is not whole.
     *
     * @param {import('./ask.js').Rendition} rendition
     * @param {UnpackedAhead | undefined} ahead
     */
    unpack(rendition: import("./ask.js").Rendition, ahead: UnpackedAhead | undefined): Promise<void>;
    /**
     * Whether the staged file is what the answer says, as far as it says something.
     *
     * @param {import('./ask.js').Rendition} rendition
     */
    isWhole({ unpackedBytes, unpackedSha256 }: import("./ask.js").Rendition): Promise<boolean>;
    /** @param {import('./ask.js').Rendition} rendition */
    unpackAll({ encoding, bytes, unpackedBytes }: import("./ask.js").Rendition): Promise<void>;
    /**
     * @param {import('./ask.js').Rendition} rendition
     * @param {number} left Bytes to download.
     */
    needDisk({ form, encoding, bytes, unpackedBytes }: import("./ask.js").Rendition, left: number): Promise<void>;
}
export type Parts = {
    platform: import("../platform.js").Platform;
    paths: import("../platform.js").Paths;
    source: import("../source.js").SnapshotSource;
    course: import("../source.js").Course;
    record: import("../database/inspect.js").Record;
    note: import("./note.js").Note;
    signal: AbortSignal;
    early?: import("./ask.js").Early | undefined;
};
import { UnpackedAhead } from './ahead.js';
