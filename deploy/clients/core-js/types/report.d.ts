/**
 * Sends it, and never fails: a report is worth nothing to the app.
 *
 * @param {import('./platform.js').Platform} platform
 * @param {import('./source.js').SnapshotSource} source
 * @param {import('./source.js').Outcome} outcome
 * @returns {Promise<void>}
 */
export function report(platform: import("./platform.js").Platform, { report, url, storeId, getToken }: import("./source.js").SnapshotSource, outcome: import("./source.js").Outcome): Promise<void>;
