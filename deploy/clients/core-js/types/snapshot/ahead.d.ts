/** What is unpacked while the part grows; nobody relies on it before both hashes were checked. */
export class UnpackedAhead {
    /**
     * Starts, if the platform can, and if what comes of it can be checked.
     *
     * @param {import('../platform.js').Files} files
     * @param {import('../platform.js').Paths} paths
     * @param {Rendition} rendition
     * @param {number} there Bytes of the part that are there.
     * @returns {Promise<UnpackedAhead | undefined>}
     */
    static start(files: import("../platform.js").Files, paths: import("../platform.js").Paths, rendition: Rendition, there: number): Promise<UnpackedAhead | undefined>;
    /**
     * @param {import('../platform.js').Files} files
     * @param {import('../platform.js').Paths} paths
     * @param {Rendition} rendition
     * @param {number} there
     */
    constructor(files: import("../platform.js").Files, { part, staged }: import("../platform.js").Paths, { encoding, bytes, unpackedBytes }: Rendition, there: number);
    total: number;
    size: number;
    controller: AbortController;
    /** @type {(() => void)[]} */
    waiting: (() => void)[];
    /** @type {Promise<boolean>} Whether all of it is unpacked. Why not does not matter: it is done again then. */
    done: Promise<boolean>;
    /** @param {number} size Bytes that are there now. */
    grow(size: number): void;
    wake(): void;
    /** Ends it, and waits for its end. */
    stop(): Promise<void>;
    /**
     * Waits for as many bytes as are worth the work.
     *
     * @param {number} at Bytes that have been read.
     * @returns {Promise<number>} How many are there; `at` if no more will come.
     */
    more(at: number): Promise<number>;
}
export type Rendition = import("./ask.js").Rendition;
