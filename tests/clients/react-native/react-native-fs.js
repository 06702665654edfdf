/** `@dr.pogodin/react-native-fs` 2.40 as far as it is used, on Node's files. */

import { createHash } from 'node:crypto';
import fs from 'node:fs/promises';
import { phone } from './phone.js';

export const appendFile = (path, contents, encoding) => fs.appendFile(path, Buffer.from(contents, encoding));

export const exists = (path) => fs.stat(path).then(() => true, () => false);

export async function getFSInfo() {
  const { bavail, bsize } = await fs.statfs(phone.databases);
  return { freeSpace: bavail * bsize };
}

export const hash = async (path, algorithm) => createHash(algorithm).update(await fs.readFile(path)).digest('hex');

export async function moveFile(from, to) {
  if (await exists(to)) throw new Error('the destination exists');
  await fs.rename(from, to);
}

export async function read(path, length, position, encoding) {
  const file = await fs.open(path);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  await file.close();
  return buffer.subarray(0, bytesRead).toString(encoding);
}

export const readFile = (path, encoding) => fs.readFile(path, encoding);

export const stat = (path) => fs.stat(path);

export const unlink = (path) => fs.rm(path);

export const writeFile = (path, content, encoding) => fs.writeFile(path, content, encoding);
