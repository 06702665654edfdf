/** `expo-file-system` 58 as far as it is used, on Node's files. */

import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { phone } from './phone.js';

export const FileMode = { ReadWrite: 'rw', ReadOnly: 'r', WriteOnly: 'w', Append: 'wa', Truncate: 'wt' };

export const Paths = {
  get availableDiskSpace() {
    const { bavail, bsize } = fs.statfsSync(phone.databases);
    return bavail * bsize;
  },
  get document() {
    return { uri: pathToFileURL(phone.files).href };
  }
};

export class File {
  constructor(uri) {
    this.uri = uri;
  }

  get path() {
    return fileURLToPath(this.uri);
  }

  get exists() {
    return fs.existsSync(this.path);
  }

  get size() {
    return fs.statSync(this.path).size;
  }

  create() {
    fs.closeSync(fs.openSync(this.path, 'wx'));
  }

  delete() {
    fs.rmSync(this.path);
  }

  async text() {
    return fs.promises.readFile(this.path, 'utf8');
  }

  write(text) {
    if (!this.exists) throw new Error('the file does not exist');
    fs.writeFileSync(this.path, text);
  }

  async move(to, { overwrite = false } = {}) {
    if (!overwrite && to.exists) throw new Error('the destination exists');
    await fs.promises.rename(this.path, to.path);
    this.uri = to.uri;
  }

  async digest(algorithm) {
    return createHash(algorithm.replace('-', '')).update(await fs.promises.readFile(this.path)).digest('hex');
  }

  open(mode) {
    const file = fs.openSync(this.path, mode === FileMode.ReadOnly ? 'r' : 'a');
    return {
      readBytes: async (length) => {
        const bytes = new Uint8Array(length);
        return bytes.subarray(0, fs.readSync(file, bytes));
      },
      writeBytes: async (bytes) => {
        for (let at = 0; at < bytes.length; ) at += fs.writeSync(file, bytes, at);
      },
      close: () => fs.closeSync(file)
    };
  }
}
