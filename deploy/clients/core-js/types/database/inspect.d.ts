/**
 * Looks at the database, if there is one.
 *
 * @param {import('../platform.js').Platform} platform
 * @param {string} database
 * @returns {Promise<Inspection>}
 */
export function inspect(platform: import("../platform.js").Platform, database: string): Promise<Inspection>;
/**
 * Puts the staged file where the database is, unless that must be kept.
 *
 * @param {import('../platform.js').Platform} platform
 * @param {Paths} paths
 * @returns {Promise<import('../reasons.js').Kept | undefined>} Why it was kept; undefined if it was replaced.
 */
export function install(platform: import("../platform.js").Platform, paths: Paths): Promise<import("../reasons.js").Kept | undefined>;
/**
 * @param {Connection} connection
 * @returns {Promise<Inspection>}
 */
export function inspectOpen(connection: Connection): Promise<Inspection>;
/**
 * Whether two descriptions can be of one database: what only one of them knows is not compared.
 *
 * @param {Record | undefined} record
 * @param {Record} wanted
 */
export function isSameStore(record: Record | undefined, wanted: Record): boolean;
/**
 * A service's URL as it is compared: `https://host:port/path`, without what URLs may have or not.
 *
 * @param {string | undefined | null} url
 * @returns {string | undefined}
 */
export function service(url: string | undefined | null): string | undefined;
/** @typedef {import('../platform.js').Connection} Connection */
/**
 * Whose database it is.
 *
 * @typedef {{ store: string, service?: string, account?: string }} Record
 */
/**
 * @typedef {object} Inspection
 * @property {import('../reasons.js').Kept | undefined} kept Why it must not be replaced.
 * @property {Record | undefined} record
 */
/** The key of the record in `ps_kv`. A full clear of the database removes it, as it does with every key but `client_id`. */
export const RECORD_KEY: "seedbed_store";
export type Connection = import("../platform.js").Connection;
/**
 * Whose database it is.
 */
export type Record = {
    store: string;
    service?: string;
    account?: string;
};
export type Inspection = {
    /**
     * Why it must not be replaced.
     */
    kept: import("../reasons.js").Kept | undefined;
    record: Record | undefined;
};
import { Paths } from '../platform.js';
