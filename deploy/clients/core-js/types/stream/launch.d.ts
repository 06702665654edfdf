/** A launch of that kind. */
export class StreamLaunch extends Launch {
    /**
     * Brings the first sync into an open database, if it has none.
     *
     * @param {StreamDatabase} db
     * @returns {Promise<SeedbedError | undefined>} Why it is not there.
     */
    fill(db: StreamDatabase): Promise<SeedbedError | undefined>;
    /**
     * The same as `inspect`, by a database that the SDK has opened.
     *
     * @param {StreamDatabase} db
     */
    inspectIn(db: StreamDatabase): Promise<import("../database/inspect.js").Inspection>;
    /**
     * @param {StreamDatabase} db
     * @param {AbortSignal} signal
     * @returns {Promise<undefined>}
     */
    take(db: StreamDatabase, signal: AbortSignal): Promise<undefined>;
}
/**
 * What is needed of the SDK's database object.
 */
export type StreamDatabase = import("./device.js").Reader & {
    execute: (sql: string, parameters?: any[]) => Promise<unknown>;
    registerListener: (listener: any) => () => void;
    connect: (connector: any, options?: any) => Promise<void>;
    disconnect: () => Promise<void>;
    close: () => Promise<void>;
};
import { Launch } from '../launch.js';
import { SeedbedError } from '../reasons.js';
