/**
 * @typedef {object} Start
 * @property {boolean} here Whether Seedbed has the stream.
 * @property {string} reason For logs.
 * @property {import('../reasons.js').Reason} code Why it has not.
 * @property {string | undefined} generation Of the snapshot.
 */
/**
 * Where Seedbed answers, without a path of its own: an SDK adds `/sync/stream`.
 *
 * @param {string} url Of `GET /database`, as in the other options of a package, or without that path.
 */
export function endpointOf(url: string): string;
/**
 * Asks once, and answers whatever happens: without an answer, PowerSync is the place to go.
 *
 * @param {typeof globalThis.fetch} fetch
 * @param {string} endpoint
 * @param {string} storeId
 * @param {string} token
 * @param {number} limit Milliseconds.
 * @returns {Promise<Start>}
 */
export function askStart(fetch: typeof globalThis.fetch, endpoint: string, storeId: string, token: string, limit: number): Promise<Start>;
export type Start = {
    /**
     * Whether Seedbed has the stream.
     */
    here: boolean;
    /**
     * For logs.
     */
    reason: string;
    /**
     * Why it has not.
     */
    code: import("../reasons.js").Reason;
    /**
     * Of the snapshot.
     */
    generation: string | undefined;
};
