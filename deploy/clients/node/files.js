/** Files by `node:fs`. */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { link, open, readFile, rename, rm, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import * as zlib from 'node:zlib';

/** Bytes that are read, unpacked and written at a time: each piece goes to another thread and back. */
const PIECE = 256 * 1024;

/**
 * What can be unpacked, by its encoding: Zstandard from Node.js 22.15 on.
 *
 * @type {Partial<Record<import('seedbed-client-core').Encoding, () => import('node:stream').Transform>>}
 */
const decoders = {
  gzip: () => zlib.createGunzip({ chunkSize: PIECE }),
  ...(zlib.createZstdDecompress && { zstd: () => zlib.createZstdDecompress({ chunkSize: PIECE }) })
};

/** The better one first. @type {import('seedbed-client-core').Encoding[]} */
export const encodings = [...(decoders.zstd ? [/** @type {const} */ ('zstd')] : []), 'gzip', 'identity'];

/** @type {import('seedbed-client-core').Files} */
export const nodeFiles = {
  size: async (path) => {
    const found = await unlessMissing(stat(path));
    return found?.size;
  },
  read: (path) => readFile(path, 'utf8'),
  write: async (path, text) => {
    const fresh = `${path}.new`;
    const file = await open(fresh, 'w');
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(fresh, path);
  },
  remove: (path) => rm(path, { force: true }),
  replace: async (from, to) => {
    await rename(from, to);
    await syncDirectory(to);
  },
  place: async (from, to) => {
    try {
      // Unlike a rename, a link never replaces what is there.
      await link(from, to);
    } catch (error) {
      const { code } = /** @type {NodeJS.ErrnoException} */ (error);
      if (code === 'EEXIST') return false;
      if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(String(code))) throw error;
      // A file system without links.
      if (await unlessMissing(stat(to))) return false;
      await rename(from, to);
    }
    await rm(from, { force: true });
    await syncDirectory(to);
    return true;
  },
  append: async (path, offset) => {
    const file = await open(path, 'a');
    try {
      await file.truncate(offset);
    } catch (error) {
      await file.close();
      throw error;
    }
    return {
      write: async (bytes) => {
        for (let written = 0; written < bytes.length; ) {
          written += (await file.write(bytes, written)).bytesWritten;
        }
      },
      close: () => file.close()
    };
  },
  sha256: async (path) => {
    const hash = createHash('sha256');
    await pipeline(createReadStream(path, { highWaterMark: PIECE }), hash);
    return hash.digest('hex');
  },
  unpack: async (encoding, from, to, limit, onBytes, signal, more) => {
    const decoder = decoders[encoding];
    if (!decoder) throw new Error(`${encoding} cannot be unpacked here`);
    let there = 0;
    const counted = async function* (/** @type {AsyncIterable<Uint8Array>} */ chunks) {
      for await (const chunk of chunks) {
        there += chunk.length;
        if (there > limit) throw new Error(`it has more than ${limit} bytes`);
        yield chunk;
        onBytes(there);
      }
    };
    const target = await open(to, 'wx');
    const source = more ? growing(from, more) : createReadStream(from, { highWaterMark: PIECE });
    await pipeline(source, decoder(), counted, target.createWriteStream({ flush: true, highWaterMark: PIECE }), { signal });
  },
  follows: true,
  sync: async (path) => {
    const file = await open(path, 'r+');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  },
  free: async (path) => {
    const { bavail, bsize } = await statfs(dirname(path));
    return bavail * bsize;
  },
  closeFirst: process.platform === 'win32'
};

/**
 * A file's bytes as they come. It may not be there before its first.
 *
 * @param {string} path
 * @param {(at: number) => Promise<number>} more
 */
async function* growing(path, more) {
  let at = 0;
  let size = await more(at);
  const file = await open(path);
  try {
    while (size > at) {
      const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(PIECE), 0, Math.min(PIECE, size - at), at);
      if (bytesRead === 0) throw new Error('the file has become shorter');
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
      if (at === size) size = await more(at);
    }
  } finally {
    await file.close();
  }
}

/**
 * Brings a new name to the disk, where directories can be opened.
 *
 * @param {string} path
 */
async function syncDirectory(path) {
  if (process.platform === 'win32') return;
  const directory = await open(dirname(path), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/**
 * @template T
 * @param {Promise<T>} work
 * @returns {Promise<T | undefined>}
 */
async function unlessMissing(work) {
  try {
    return await work;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return undefined;
    throw error;
  }
}
