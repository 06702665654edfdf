/**
 * How to finish a compact file, by version: what Seedbed's `protocol/finish` says, with which a test compares it. A package
 * runs no statement that comes over the network.
 */
/**
 * @typedef {object} Finish
 * @property {number} version
 * @property {string} form
 * @property {string[]} core_versions Those of the core extension with which it was tested.
 * @property {Step[]} steps In order, in one transaction.
 */
/**
 * @typedef {object} Step
 * @property {string} name
 * @property {string} [sql]
 * @property {string[]} [parameters] `schema` is the app's schema as JSON.
 * @property {number} [returns] What the statement has to return.
 * @property {string} [of_core] In place of `sql`: asks a fresh database of the same core for the statements to run.
 * @property {string[]} [otherwise] Where there is no second database.
 */
/** @type {Record<number, Finish>} */
export const FINISHES: Record<number, Finish>;
/** The newest. */
export const FINISH: 1;
export type Finish = {
    version: number;
    form: string;
    /**
     * Those of the core extension with which it was tested.
     */
    core_versions: string[];
    /**
     * In order, in one transaction.
     */
    steps: Step[];
};
export type Step = {
    name: string;
    sql?: string | undefined;
    /**
     * `schema` is the app's schema as JSON.
     */
    parameters?: string[] | undefined;
    /**
     * What the statement has to return.
     */
    returns?: number | undefined;
    /**
     * In place of `sql`: asks a fresh database of the same core for the statements to run.
     */
    of_core?: string | undefined;
    /**
     * Where there is no second database.
     */
    otherwise?: string[] | undefined;
};
