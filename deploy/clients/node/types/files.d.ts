/** The better one first. @type {import('seedbed-client-core').Encoding[]} */
export const encodings: import("seedbed-client-core").Encoding[];
/** @type {import('seedbed-client-core').Files} */
export const nodeFiles: import("seedbed-client-core").Files;
