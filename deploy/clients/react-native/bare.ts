/**
 * `openSeeded` for apps without Expo's modules: with `@dr.pogodin/react-native-fs`, or anything with the same functions.
 *
 * ```ts
 * import * as fs from '@dr.pogodin/react-native-fs';
 * import { openSeeded } from 'seedbed-client-react-native/bare';
 *
 * const db = await openSeeded({ schema, database: { dbFilename } }, { fs, url, storeId, getToken });
 * ```
 */

import type { PowerSyncDatabase } from '@powersync/react-native';
import type { Files, SnapshotSource } from 'seedbed-client-core';
import { openWith } from './open.ts';
import type { DatabaseOptions, Unpacking } from './options.ts';
import { fetchWhole } from './request.ts';
import { unpackWith, type Gunzip } from './unpack.ts';

export { SeedbedError, seededConnector } from 'seedbed-client-core';
export type { DatabaseOptions, SnapshotSource };

/** What is used of `@dr.pogodin/react-native-fs` 2.40. */
export interface FileFunctions {
  appendFile(path: string, contents: string, encoding: 'base64'): Promise<void>;
  exists(path: string): Promise<boolean>;
  getFSInfo(): Promise<{ freeSpace: number }>;
  hash(path: string, algorithm: string): Promise<string>;
  moveFile(from: string, to: string): Promise<void>;
  read(path: string, length: number, position: number, encoding: 'base64'): Promise<string>;
  readFile(path: string, encoding: 'utf8'): Promise<string>;
  stat(path: string): Promise<{ size: number }>;
  unlink(path: string): Promise<void>;
  writeFile(path: string, content: string, encoding: 'utf8'): Promise<void>;
}

/** Without streams: 1 MiB is asked for at a time, which is also what a lost connection costs. */
const CHUNK = 1024 * 1024;

/** Opens the database where the SDK opens it: see `openSeeded` in `./index.ts`. */
export async function openSeeded(
  options: DatabaseOptions,
  { fs, ...source }: SnapshotSource & Unpacking & { fs: FileFunctions }
): Promise<PowerSyncDatabase> {
  return openWith({ files: bareFiles(fs, source.gunzip), fetch: fetchWhole, chunk: CHUNK }, options, source);
}

function bareFiles(fs: FileFunctions, gunzip: Gunzip | undefined): Files {
  const remove = async (path: string) => {
    if (await fs.exists(path)) await fs.unlink(path);
  };
  const replace = async (from: string, to: string) => {
    // On iOS a move never replaces. A process that is killed in between has no database, and a staged one that is whole.
    await remove(to);
    await fs.moveFile(from, to);
  };
  const append = (path: string, bytes: Uint8Array) => fs.appendFile(path, toBase64(bytes), 'base64');
  return {
    size: async (path) => ((await fs.exists(path)) ? Number((await fs.stat(path)).size) : undefined),
    read: (path) => fs.readFile(path, 'utf8'),
    write: async (path, text) => {
      await fs.writeFile(`${path}.new`, text, 'utf8');
      await replace(`${path}.new`, path);
    },
    remove,
    replace,
    place: async (from, to) => {
      if (await fs.exists(to)) return false;
      await fs.moveFile(from, to);
      return true;
    },
    append: async (path, offset) => {
      if (offset === 0) await fs.writeFile(path, '', 'utf8');
      return { write: (bytes) => append(path, bytes), close: async () => {} };
    },
    sha256: async (path) => (await fs.hash(path, 'sha256')).toLowerCase(),
    unpack: async (_, from, to, limit, onBytes, signal) => {
      const size = Number((await fs.stat(from)).size);
      await fs.writeFile(to, '', 'utf8');
      await unpackWith({
        gunzip,
        size,
        limit,
        onBytes,
        signal,
        read: async (length, position) => fromBase64(await fs.read(from, length, position, 'base64')),
        write: (bytes) => append(to, bytes)
      });
    },
    // The system writes files back by itself; nothing here can ask for it.
    sync: async () => {},
    free: async () => (await fs.getFSInfo()).freeSpace
  };
}

/** Characters that are made at a time: as many arguments as every engine takes. */
const PIECE = 8 * 1024;

function toBase64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += PIECE) text += String.fromCharCode(...bytes.subarray(at, at + PIECE));
  return btoa(text);
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
