/** How an app's databases are encrypted, and how sealed files are opened. */
export class Ciphers {
    /** @param {import('seedbed-client-core').Encryption} encryption */
    constructor({ key, format }: import("seedbed-client-core").Encryption);
    key: string;
    /** @type {import('seedbed-client-core').Cipher} */
    format: import("seedbed-client-core").Cipher;
    /**
     * The options of the app's database, whose connections begin with the key: in the worker (`worker.js`), and once more by the SDK.
     *
     * @param {OpenOptions} database
     * @returns {OpenOptions}
     */
    keyed(database: OpenOptions): OpenOptions;
    /**
     * The same for a sealed file, by the key that came with it. Nothing of the app's is done with it.
     *
     * @param {OpenOptions} database
     * @param {string} key 32 bytes in hex.
     * @returns {OpenOptions}
     */
    sealed(database: OpenOptions, key: string): OpenOptions;
    /** @param {string} key */
    statements(key: string): string[];
    /** @param {Connection} connection */
    rekey(connection: Connection): Promise<void>;
    /**
     * @param {Run} run
     * @param {string} key
     */
    unlock(run: Run, key: string): Promise<void>;
}
export type OpenOptions = import("@powersync/node").NodeSQLOpenOptions;
export type Connection = import("seedbed-client-core").Connection;
/**
 * Returns the rows.
 */
export type Run = (sql: string) => Promise<any[]>;
