/**
 * What has come of a question.
 *
 * @typedef {object} Answered
 * @property {Response} answer
 * @property {any} body
 * @property {Body} [content]
 */
/**
 * A first question that was asked before the core extension was there to say its version.
 *
 * @typedef {object} Early
 * @property {Wanted['form']} form
 * @property {Promise<Answered | undefined>} answered Undefined if there was no answer.
 */
/**
 * Asks the first question.
 *
 * @param {typeof globalThis.fetch} fetch
 * @param {Wanted} wanted
 * @param {AbortSignal} signal
 * @returns {Early}
 */
export function askEarly(fetch: typeof globalThis.fetch, wanted: Wanted, signal: AbortSignal): Early;
/**
 * Asks once.
 *
 * @param {typeof globalThis.fetch} fetch
 * @param {Wanted} wanted
 * @param {AbortSignal} signal
 * @param {Early} [early] Taken for the answer to the first question, if it is the same.
 * @returns {Promise<Snapshot>}
 * @throws {SeedbedError} With `retryAfter` for 202, 429 and 503.
 */
export function ask(fetch: typeof globalThis.fetch, wanted: Wanted, signal: AbortSignal, early?: Early): Promise<Snapshot>;
/**
 * What arrives where `fetch` unpacks by itself what an answer calls gzip. Only compressed files of the form `file` are called so,
 * for older clients (`protocol/src/manifest/form.rs`).
 *
 * @param {Snapshot} snapshot
 * @returns {Snapshot}
 */
export function decoded(snapshot: Snapshot): Snapshot;
/**
 * @param {number} status
 * @param {unknown} error
 * @returns {import('../reasons.js').Reason}
 */
export function reasonOf(status: number, error: unknown): import("../reasons.js").Reason;
/**
 * Whether a version `1.2.3` is newer than another.
 *
 * @param {string} version
 * @param {string} than
 */
export function isNewer(version: string, than: string): boolean;
/**
 * What has come of a question.
 */
export type Answered = {
    answer: Response;
    body: any;
    content?: Body | undefined;
};
/**
 * A first question that was asked before the core extension was there to say its version.
 */
export type Early = {
    form: Wanted["form"];
    /**
     * Undefined if there was no answer.
     */
    answered: Promise<Answered | undefined>;
};
/**
 * What the answer says, as far as it is used.
 */
export type Snapshot = {
    /**
     * Signed: anyone who has it can download the snapshot until it expires.
     */
    databaseUrl: string;
    rendition: Rendition;
    /**
     * Of a sealed file: 32 bytes in hex. It is written nowhere.
     */
    key?: string | undefined;
    /**
     * The bytes of the rendition, if they come with the answer.
     */
    content?: Body | undefined;
    /**
     * How the bytes come, where `fetch` unpacks them: they arrive as those of the
     * rendition without an encoding, and no range can be asked for.
     */
    packed?: import("../platform.js").Encoding | undefined;
};
/**
 * What identifies the bytes of a rendition, and what is needed to make a database of them. It is kept in the note.
 */
export type Rendition = {
    form: "file" | "compact";
    encoding: import("../platform.js").Encoding;
    bytes: number;
    /**
     * Hexadecimal, over the bytes as they are stored.
     */
    sha256: string;
    unpackedBytes?: number | undefined;
    unpackedSha256?: string | undefined;
    /**
     * The version of finishing.
     */
    finish?: number | undefined;
};
export type Wanted = {
    url: string;
    storeId: string;
    getToken: () => Promise<string>;
    form: "file" | "compact";
    encodings: import("../platform.js").Encoding[];
    /**
     * Whether a small snapshot may come with the answer: not where an answer comes as a whole or not at all.
     */
    inline?: boolean | undefined;
    /**
     * Whether nothing but a sealed file will do.
     */
    sealed?: boolean | undefined;
    endpoint?: string | undefined;
    generation?: string | number | undefined;
    /**
     * Seconds.
     */
    maxAge?: number | undefined;
    /**
     * The version of the SDK's core extension. Empty if it is not known yet.
     */
    core: string;
    /**
     * The newest version of finishing that this package has.
     */
    finish: number;
};
import { Body } from './body.js';
