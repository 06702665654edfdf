/** Files of a launch, by a worker that is there as long as the launch. */

/** @returns {{ files: import('seedbed-client-core').Files, end: () => void }} */
export function opfsFiles() {
  /** @type {Worker | undefined} */
  let worker;
  /** @type {Map<number, { resolve: (value: any) => void, reject: (error: Error) => void }>} */
  const waiting = new Map();
  let next = 1;

  const start = () => {
    const started = new Worker(new URL('./opfs-worker.js', import.meta.url), { type: 'module', name: 'seedbed' });
    started.addEventListener('message', ({ data: { id, value, error } }) => {
      const answer = waiting.get(id);
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
    new Promise((resolve, reject) => {
      worker ??= start();
      const id = next++;
      waiting.set(id, { resolve, reject });
      worker.postMessage({ id, command, args });
    });

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
      unpack: async () => {
        // Never asked for: browsers unpack what the answer calls gzip.
        throw new Error('nothing is unpacked here');
      },
      sync: async () => {
        // Closing has flushed it.
      },
      free: () => ask('free')
    },
    end: () => worker?.terminate()
  };
}
