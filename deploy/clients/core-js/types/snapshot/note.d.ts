/**
 * @typedef {object} Content
 * @property {number} v
 * @property {import('./ask.js').Rendition} rendition
 * @property {import('../database/inspect.js').Record} record
 * @property {boolean} staged
 * @property {string} [etag]
 */
/** `app.db.seedbed.json`. A killed process leaves the one before or the one after a change. */
export class Note {
    /**
     * @param {import('../platform.js').Files} files
     * @param {import('../platform.js').Paths} paths
     * @returns {Promise<Note>}
     */
    static read(files: import("../platform.js").Files, paths: import("../platform.js").Paths): Promise<Note>;
    /**
     * @param {import('../platform.js').Files} files
     * @param {import('../platform.js').Paths} paths
     */
    constructor(files: import("../platform.js").Files, paths: import("../platform.js").Paths);
    files: import("../platform.js").Files;
    path: string;
    /** @type {Content | undefined} */
    content: Content | undefined;
    get staged(): boolean;
    get etag(): string | undefined;
    /**
     * Whether the bytes that are there are those of the rendition, for the same store.
     *
     * @param {import('./ask.js').Rendition} rendition
     * @param {import('../database/inspect.js').Record} record
     */
    isOf(rendition: import("./ask.js").Rendition, record: import("../database/inspect.js").Record): boolean;
    /**
     * Begins anew.
     *
     * @param {import('./ask.js').Rendition} rendition
     * @param {import('../database/inspect.js').Record} record
     */
    start(rendition: import("./ask.js").Rendition, record: import("../database/inspect.js").Record): Promise<void>;
    /** @param {string} etag */
    setEtag(etag: string): Promise<void>;
    setStaged(): Promise<void>;
    /** The files it was about are gone. */
    forget(): void;
    remove(): Promise<void>;
    /** @param {Content} content */
    write(content: Content): Promise<void>;
}
export type Content = {
    v: number;
    rendition: import("./ask.js").Rendition;
    record: import("../database/inspect.js").Record;
    staged: boolean;
    etag?: string | undefined;
};
