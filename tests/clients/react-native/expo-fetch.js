/** `expo/fetch`: has streams, as Node's has. */
export const fetch = (url, init) => globalThis.fetch(url, init);
