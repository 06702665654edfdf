/** The folders of the app: `databases` is where op-sqlite puts what has no location, `files` the app's own. */
export const phone = { databases: '', files: '' };
