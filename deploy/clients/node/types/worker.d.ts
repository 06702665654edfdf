/**
 * Returns the same class, whose databases begin with the key that `openSeeded` has given to the worker.
 *
 * @template {new (...args: any[]) => any} D
 * @param {D} Database
 * @returns {D}
 */
export function keyed<D extends new (...args: any[]) => any>(Database: D): D;
