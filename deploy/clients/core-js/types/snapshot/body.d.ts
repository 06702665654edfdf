export class Body {
    /**
     * Starts reading.
     *
     * @param {Response} answer
     * @param {import('../clock.js').Silence} silence
     */
    constructor(answer: Response, silence: import("../clock.js").Silence);
    answer: Response;
    silence: import("../clock.js").Silence;
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
    reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | undefined;
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
