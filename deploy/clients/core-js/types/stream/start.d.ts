/**
 * @typedef {object} Start
 * @property {string | undefined} endpoint For the SDK's credentials, if Seedbed has a stream for the device.
 * @property {string} reason In a word, for logs.
 * @property {import('../reasons.js').Reason} code Why it has not.
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
 * @param {{ storeId: string, token: string, generation?: string, limit: number }} device `generation`: the newest that it has positions
 *   of. `limit`: milliseconds.
 * @returns {Promise<Start>}
 */
export function askStart(fetch: typeof globalThis.fetch, endpoint: string, { storeId, token, generation, limit }: {
    storeId: string;
    token: string;
    generation?: string;
    limit: number;
}): Promise<Start>;
export type Start = {
    /**
     * For the SDK's credentials, if Seedbed has a stream for the device.
     */
    endpoint: string | undefined;
    /**
     * In a word, for logs.
     */
    reason: string;
    /**
     * Why it has not.
     */
    code: import("../reasons.js").Reason;
};
