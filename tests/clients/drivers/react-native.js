/**
 * The package for React Native as the suite drives it, on Node: `expo`, with Expo's modules, or `bare`. The directory is where
 * op-sqlite is at home, since the app says nothing about it.
 */

import '../react-native/register.js';
import { join } from 'node:path';
import { mkdirSync } from 'node:fs';
import { phone } from '../react-native/phone.js';
import { XMLHttpRequest } from '../react-native/xml-http-request.js';
import { logger, run, schemaOf } from './app.js';

const [kind] = process.argv.slice(2);
globalThis.XMLHttpRequest = XMLHttpRequest;

const sdk = await import('@powersync/react-native');
const { Gunzip } = await import('fflate');
const fs = await import('../react-native/react-native-fs.js');
const { openSeeded } = await import(`../../../deploy/clients/react-native/${kind === 'bare' ? 'bare' : 'index'}.ts`);

const schema = schemaOf(sdk);
// As with `expo/fetch`, which the SDK looks for by `require`.
const remote = { fetchImplementation: { supportsStreams: true, run: ({ resource, request }) => fetch(resource, request) } };

run({ platform: kind, forms: ['file', 'compact'], encodings: ['gzip', 'identity'] }, (directory, source) => {
  phone.databases = directory;
  phone.files = join(directory, 'files');
  mkdirSync(phone.files, { recursive: true });
  const more = kind === 'bare' ? { fs } : {};
  return openSeeded({ schema, database: { dbFilename: 'app.db' }, logger, remote }, { ...source, ...more, gunzip: Gunzip });
});
