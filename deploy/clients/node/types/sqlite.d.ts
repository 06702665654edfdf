/** The thread starts with the first connection. */
export class SqliteThread {
    /** @param {OpenOptions} options */
    constructor(options: OpenOptions);
    options: import("@powersync/node").NodeSQLOpenOptions;
    /** @type {{ worker: Worker, opener: any, exited: Promise<void> } | undefined} */
    started: {
        worker: Worker;
        opener: any;
        exited: Promise<void>;
    } | undefined;
    /**
     * @param {string} path
     * @param {OpenOptions} [options] Those of the app by default.
     * @returns {Promise<import('seedbed-client-core').Connection>}
     */
    open(path: string, { implementation, initializeConnection }?: OpenOptions): Promise<import("seedbed-client-core").Connection>;
    /**
     * Gives the thread away, with the connections that are open: the SDK needs one of the same kind, and to start one takes longer than
     * a small snapshot.
     *
     * @returns {Worker | undefined} The same only once.
     */
    handOver(): Worker | undefined;
    /** Ends the thread, and with it every connection. */
    close(): Promise<void>;
    start(): {
        worker: Worker;
        opener: any;
        exited: Promise<void>;
    };
}
export type OpenOptions = import("@powersync/node").NodeSQLOpenOptions;
import { Worker } from 'node:worker_threads';
