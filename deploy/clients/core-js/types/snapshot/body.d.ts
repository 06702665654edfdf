export class Body {
    /**
     * Starts reading.
     *
     * @param {{ body?: any, arrayBuffer?: () => Promise<ArrayBuffer> }} answer
     * @param {{ signal: AbortSignal, heard: () => void }} [silence] Ends it early. Without, who waits for the next piece looks after that.
     */
    constructor(answer: {
        body?: any;
        arrayBuffer?: () => Promise<ArrayBuffer>;
    }, silence?: {
        signal: AbortSignal;
        heard: () => void;
    });
    answer: {
        body?: any;
        arrayBuffer?: () => Promise<ArrayBuffer>;
    };
    silence: {
        signal: AbortSignal;
        heard: () => void;
    };
    /** @type {Uint8Array[]} */
    chunks: Uint8Array[];
    size: number;
    ended: boolean;
    /** @type {unknown} */
    error: unknown;
    /** @type {(() => void)[]} Whoever waits for something to happen to the above. */
    waiting: (() => void)[];
    /** Whether what there is has waited for long enough. */
    due: boolean;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    timer: ReturnType<typeof setTimeout> | undefined;
    reader: any;
    abort: () => void;
    /**
     * The next piece; undefined at the end.
     *
     * @returns {Promise<Uint8Array | undefined>}
     * @throws What ended the body early, once all that had arrived before was taken.
     */
    next(): Promise<Uint8Array | undefined>;
    /** All that there is, in one piece. */
    take(): Uint8Array<ArrayBufferLike>;
    /** Nothing more is wanted. */
    cancel(): void;
    read(): Promise<void>;
    /** @param {Uint8Array} chunk */
    add(chunk: Uint8Array): void;
    /**
     * Nothing more comes.
     *
     * @param {unknown} [error] Why, if it is not all. The first one counts.
     */
    end(error?: unknown): void;
    /** @returns {Promise<void>} */
    change(): Promise<void>;
    wake(): void;
}
