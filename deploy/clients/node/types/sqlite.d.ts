/** The thread starts with the first connection. */
export class SqliteThread {
    /** @param {OpenOptions} options */
    constructor(options: OpenOptions);
    options: import("@powersync/node").NodeSQLOpenOptions;
    /** @type {{ worker: Worker, opener: any } | undefined} */
    started: {
        worker: Worker;
        opener: any;
    } | undefined;
    /**
     * @param {string} path
     * @param {OpenOptions} [options] Those of the app by default.
     * @returns {Promise<import('seedbed-client-core').Connection>}
     */
    open(path: string, { implementation, initializeConnection }?: OpenOptions): Promise<import("seedbed-client-core").Connection>;
    /** Ends the thread, and with it every connection. */
    close(): Promise<void>;
    start(): {
        worker: Worker;
        opener: any;
    };
}
export type OpenOptions = import("@powersync/node").NodeSQLOpenOptions;
import { Worker } from 'node:worker_threads';
