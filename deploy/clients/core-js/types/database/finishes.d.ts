/**
 * How to finish a compact file, by version: the statements of Seedbed's `protocol`, with which a test compares them. A
 * package runs no statement that comes over the network.
 *
 * `:schema` is the app's schema as JSON.
 *
 * @type {Record<number, string[]>}
 */
export const FINISHES: Record<number, string[]>;
/** The newest. */
export const FINISH: 1;
