/**
 * Takes the lock, and waits for it.
 *
 * The system frees it when a process dies, and leaves the empty file.
 *
 * @param {import('../platform.js').Platform} platform
 * @param {string} path
 * @param {AbortSignal} signal Ends the wait.
 * @returns {Promise<Lock>}
 */
export function takeLock(platform: import("../platform.js").Platform, path: string, signal: AbortSignal): Promise<Lock>;
export type Connection = import("../platform.js").Connection;
export type Lock = {
    /**
     * The version of the core extension, which the connection has anyway.
     */
    core: string;
    release: () => Promise<void>;
};
