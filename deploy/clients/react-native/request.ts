/** `fetch` for React Native without Expo: its own has no streams, and has bytes only by way of files. */

/** Requests whose answer comes as a whole. */
export const fetchWhole = ((url: string, init: RequestInit = {}) =>
  new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(init.method ?? 'GET', url);
    request.responseType = 'arraybuffer';
    for (const [name, value] of Object.entries((init.headers ?? {}) as Record<string, string>)) {
      request.setRequestHeader(name, value);
    }
    const aborted = () => request.abort();
    init.signal?.addEventListener('abort', aborted);
    request.onload = () => resolve(answerOf(request));
    request.onerror = () => reject(new TypeError('Network request failed'));
    request.onabort = () => reject(init.signal?.reason ?? new Error('aborted'));
    request.onloadend = () => init.signal?.removeEventListener('abort', aborted);
    if (init.signal?.aborted) reject(init.signal.reason);
    else request.send((init.body ?? null) as string | null);
  })) as unknown as typeof globalThis.fetch;

/** As much of a `Response` as a launch uses. */
function answerOf(request: XMLHttpRequest) {
  const bytes = request.response as ArrayBuffer;
  return {
    status: request.status,
    headers: { get: (name: string) => request.getResponseHeader(name) },
    body: null,
    arrayBuffer: async () => bytes,
    json: async () => JSON.parse(textOf(new Uint8Array(bytes)))
  };
}

/** UTF-8 as text: not every engine has a `TextDecoder`. */
function textOf(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += `%${byte.toString(16).padStart(2, '0')}`;
  return decodeURIComponent(text);
}
