/**
 * Sends it, and never fails: a report is worth nothing to the app.
 *
 * @param {import('./platform.js').Platform} platform
 * @param {import('./launch.js').SnapshotSource} source
 * @param {import('./launch.js').Outcome} outcome
 * @returns {Promise<void>}
 */
export function report(platform: import("./platform.js").Platform, { report, url, getToken }: import("./launch.js").SnapshotSource, outcome: import("./launch.js").Outcome): Promise<void>;
