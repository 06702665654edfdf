/** Files by `expo-file-system` 58. */

import { File, FileMode, Paths } from 'expo-file-system';
import type { Files } from 'seedbed-client-core';
import { unpackWith, type Gunzip } from './unpack.ts';

export const expoFiles = (gunzip: Gunzip | undefined): Files => ({
  size: async (path) => {
    const found = fileAt(path);
    return found.exists ? found.size : undefined;
  },
  read: (path) => fileAt(path).text(),
  write: async (path, text) => {
    const fresh = fileAt(`${path}.new`);
    remove(fresh);
    fresh.create();
    fresh.write(text);
    await fresh.move(fileAt(path), { overwrite: true });
  },
  remove: async (path) => remove(fileAt(path)),
  replace: async (from, to) => {
    // Another object each time: moving changes the URL of the one that is moved.
    await fileAt(from).move(fileAt(to), { overwrite: true });
  },
  place: async (from, to) => {
    if (fileAt(to).exists) return false;
    await fileAt(from).move(fileAt(to), { overwrite: false });
    return true;
  },
  append: async (path, offset) => {
    const target = fileAt(path);
    if (offset === 0) remove(target);
    if (!target.exists) target.create();
    const handle = target.open(FileMode.Append);
    return {
      write: (bytes) => handle.writeBytes(bytes),
      close: async () => handle.close()
    };
  },
  sha256: async (path) => (await fileAt(path).digest('SHA-256')).toLowerCase(),
  unpack: async (_, from, to, limit, onBytes, signal) => {
    const target = fileAt(to);
    target.create();
    const [source, sink] = [fileAt(from).open(FileMode.ReadOnly), target.open(FileMode.Append)];
    try {
      await unpackWith({
        gunzip,
        size: fileAt(from).size,
        limit,
        onBytes,
        signal,
        read: (length) => source.readBytes(length),
        write: (bytes) => sink.writeBytes(bytes)
      });
    } finally {
      source.close();
      sink.close();
    }
  },
  // The system writes files back by itself; nothing here can ask for it.
  sync: async () => {},
  free: async () => Paths.availableDiskSpace
});

/** op-sqlite has paths, expo-file-system URLs. */
export function pathOf(url: string): string {
  return decodeURIComponent(url.replace(/^file:\/\//, ''));
}

function fileAt(path: string): File {
  return new File(`file://${encodeURI(path).replaceAll('#', '%23').replaceAll('?', '%3F')}`);
}

function remove(file: File): void {
  if (file.exists) file.delete();
}
