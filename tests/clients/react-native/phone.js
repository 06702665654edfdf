/**
 * The folders of the app: `databases` is where op-sqlite puts what has no location, `files` the app's own. `sqlcipher`: whether
 * op-sqlite is built with it.
 */
export const phone = { databases: '', files: '', sqlcipher: false };
