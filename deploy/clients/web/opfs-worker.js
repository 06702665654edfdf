/**
 * Files in the browser's private file system (OPFS), in a worker: only there can a file be written in place, so that what has
 * arrived stays when the tab goes away.
 */

import { Sha256 } from './sha256.js';

/** Bytes between two flushes: what a killed tab may lose. */
const FLUSH = 1 << 20;

/** Bytes that are read at a time. */
const PIECE = 1 << 20;

/** @typedef {{ handle: any, at: number, unflushed: number }} Sink */

/** @type {Map<number, Sink>} Files that are open for writing. */
const sinks = new Map();
let next = 1;

/** @type {Set<number>} Commands that are no longer wanted. */
const cancelled = new Set();

/** @type {Record<string, (...args: any[]) => Promise<unknown>>} */
const commands = {
  size: async (path) => (await fileOf(path))?.size,

  read: async (path) => {
    const file = await fileOf(path);
    if (!file) throw new Error(`no such file: ${path}`);
    return file.text();
  },

  write: async (path, text) => {
    const handle = await open(`${path}.new`);
    try {
      handle.truncate(0);
      handle.write(new TextEncoder().encode(text), { at: 0 });
      handle.flush();
    } finally {
      handle.close();
    }
    await move(`${path}.new`, path);
  },

  remove: async (path) => {
    const [directory, name] = await placeOf(path);
    await unlessMissing(directory?.removeEntry(name));
  },

  replace: (from, to) => move(from, to),

  place: async (from, to) => {
    if (await fileOf(to)) return false;
    await move(from, to);
    return true;
  },

  append: async (path, offset) => {
    const handle = await open(path);
    handle.truncate(offset);
    const id = next++;
    sinks.set(id, { handle, at: offset, unflushed: 0 });
    return id;
  },

  put: async (id, bytes) => {
    const sink = /** @type {Sink} */ (sinks.get(id));
    for (let done = 0; done < bytes.length; ) {
      const written = sink.handle.write(bytes.subarray(done), { at: sink.at });
      if (written === 0) throw new DOMException('the disk is full', 'QuotaExceededError');
      done += written;
      sink.at += written;
      sink.unflushed += written;
    }
    if (sink.unflushed >= FLUSH) {
      sink.handle.flush();
      sink.unflushed = 0;
    }
  },

  close: async (id) => {
    const sink = sinks.get(id);
    sinks.delete(id);
    sink?.handle.flush();
    sink?.handle.close();
  },

  sha256: async (path) => {
    const handle = await open(path);
    try {
      const hash = new Sha256();
      const piece = new Uint8Array(PIECE);
      for (let at = 0; ; ) {
        const read = handle.read(piece, { at });
        if (read === 0) return hash.hex();
        hash.update(piece.subarray(0, read));
        at += read;
      }
    } finally {
      handle.close();
    }
  },

  unpack: async (encoding, from, to, limit, id) => {
    const file = await fileOf(from);
    if (!file) throw new Error(`no such file: ${from}`);
    const handle = await open(to);
    try {
      handle.truncate(0);
      const reader = file.stream().pipeThrough(new DecompressionStream(encoding)).getReader();
      let there = 0;
      for (let said = 0; ; ) {
        const { value, done } = await reader.read();
        if (done) break;
        if (there + value.length > limit) throw new Error(`it has more than ${limit} bytes`);
        if (cancelled.has(id)) throw new Error('cancelled');
        if (handle.write(value, { at: there }) < value.length) throw new DOMException('the disk is full', 'QuotaExceededError');
        there += value.length;
        if (there - said < PIECE) continue;
        said = there;
        self.postMessage({ id, bytes: there });
      }
      self.postMessage({ id, bytes: there });
      handle.flush();
    } finally {
      cancelled.delete(id);
      handle.close();
    }
  },

  cancel: async (id) => {
    cancelled.add(id);
  },

  free: async () => {
    const { quota, usage } = await navigator.storage.estimate();
    return quota === undefined || usage === undefined ? undefined : quota - usage;
  }
};

self.addEventListener('message', async ({ data: { id, command, args } }) => {
  try {
    self.postMessage({ id, value: await commands[command](...args, id) });
  } catch (error) {
    const { name, message } = /** @type {Error} */ (error);
    self.postMessage({ id, error: name === 'QuotaExceededError' ? `${name}: no space left` : `${name}: ${message}` });
  }
});

/**
 * @param {string} path
 * @param {boolean} [create]
 * @returns {Promise<[FileSystemDirectoryHandle | undefined, string]>}
 */
async function placeOf(path, create = false) {
  const parts = path.split('/').filter(Boolean);
  const name = /** @type {string} */ (parts.pop());
  /** @type {FileSystemDirectoryHandle | undefined} */
  let directory = await navigator.storage.getDirectory();
  for (const part of parts) directory = await unlessMissing(directory?.getDirectoryHandle(part, { create }));
  return [directory, name];
}

/** @param {string} path */
async function fileOf(path) {
  const [directory, name] = await placeOf(path);
  const handle = await unlessMissing(directory?.getFileHandle(name));
  return handle?.getFile();
}

/**
 * @param {string} path
 * @returns {Promise<any>} A handle that nobody else has.
 */
async function open(path) {
  const [directory, name] = await placeOf(path, true);
  const handle = await /** @type {FileSystemDirectoryHandle} */ (directory).getFileHandle(name, { create: true });
  return /** @type {any} */ (handle).createSyncAccessHandle();
}

/**
 * Renames over what is there.
 *
 * @param {string} from
 * @param {string} to
 */
async function move(from, to) {
  const [source, name] = await placeOf(from);
  const handle = /** @type {any} */ (await source?.getFileHandle(name));
  const [target, last] = await placeOf(to, true);
  await handle.move(target, last);
}

/**
 * @template T
 * @param {Promise<T> | undefined} work
 * @returns {Promise<T | undefined>}
 */
async function unlessMissing(work) {
  try {
    return await work;
  } catch (error) {
    if (/** @type {Error} */ (error).name === 'NotFoundError') return undefined;
    throw error;
  }
}
