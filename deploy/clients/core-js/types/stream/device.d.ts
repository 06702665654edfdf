/**
 * @param {Reader} database
 * @returns {Promise<Device>}
 */
export function read(database: Reader): Promise<Device>;
/**
 * What is needed of the SDK's database object.
 */
export type Reader = {
    /**
     * Rows as objects.
     */
    getAll: (sql: string, parameters?: any[]) => Promise<any[]>;
};
export type Device = {
    /**
     * Whether a sync has completed.
     */
    synced: boolean;
    /**
     * Whether there is a local write that the service has not confirmed: then no checkpoint is applied.
     */
    writes: boolean;
    /**
     * Whether it has a position in any bucket.
     */
    begun: boolean;
    /**
     * The newest of them: the number before the `#` of their names. Undefined if one has none.
     */
    generation: string | undefined;
};
