/** @type {import('seedbed-client-core').Files} */
export const nodeFiles: import("seedbed-client-core").Files;
