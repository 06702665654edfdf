/** Files of a launch, by a worker that is there as long as the launch. */

/** @returns {{ files: import('seedbed-client-core').Files, end: () => void }} */
export function opfsFiles() {
  /** @type {Worker | undefined} */
  let worker;
  /** @type {Map<number, { resolve: (value: any) => void, reject: (error: Error) => void, onBytes?: (bytes: number) => void }>} */
  const waiting = new Map();
  let next = 1;

  const start = () => {
    const started = new Worker(new URL('./opfs-worker.js', import.meta.url), { type: 'module', name: 'seedbed' });
    started.addEventListener('message', ({ data: { id, value, error, bytes } }) => {
      const answer = waiting.get(id);
      if (bytes !== undefined) return answer?.onBytes?.(bytes);
      waiting.delete(id);
      if (error === undefined) answer?.resolve(value);
      else answer?.reject(new Error(error));
    });
    started.addEventListener('error', (event) => {
      for (const { reject } of waiting.values()) reject(new Error(`the worker for files: ${event.message}`));
      waiting.clear();
    });
    return started;
  };

  /** @returns {Promise<any>} */
  const ask = (/** @type {string} */ command, /** @type {any[]} */ ...args) =>
    new Promise((resolve, reject) => send(command, args, { resolve, reject }));

  /**
   * @param {string} command
   * @param {any[]} args
   * @param {{ resolve: (value: any) => void, reject: (error: Error) => void, onBytes?: (bytes: number) => void }} answer
   */
  const send = (command, args, answer) => {
    worker ??= start();
    const id = next++;
    waiting.set(id, answer);
    worker.postMessage({ id, command, args });
    return id;
  };

  return {
    files: {
      size: (path) => ask('size', path),
      read: (path) => ask('read', path),
      write: (path, text) => ask('write', path, text),
      remove: (path) => ask('remove', path),
      replace: (from, to) => ask('replace', from, to),
      place: (from, to) => ask('place', from, to),
      append: async (path, offset) => {
        const sink = await ask('append', path, offset);
        return { write: (bytes) => ask('put', sink, bytes), close: () => ask('close', sink) };
      },
      sha256: (path) => ask('sha256', path),
      unpack: (encoding, from, to, limit, onBytes, signal) =>
        new Promise((resolve, reject) => {
          const id = send('unpack', [encoding, from, to, limit], { resolve, reject, onBytes });
          signal.addEventListener('abort', () => void ask('cancel', id));
        }),
      sync: async () => {
        // Closing has flushed it.
      },
      free: () => ask('free')
    },
    end: () => worker?.terminate()
  };
}
