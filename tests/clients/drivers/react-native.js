/**
 * The package for React Native as the suite drives it, on Node: `expo`, with Expo's modules, or `bare`; `key` if the
 * app's database has one. The directory is where
 * op-sqlite is at home, since the app says nothing about it.
 */

import '../react-native/register.js';
import { join } from 'node:path';
import { mkdirSync } from 'node:fs';
import { phone } from '../react-native/phone.js';
import { XMLHttpRequest } from '../react-native/xml-http-request.js';
import { logger, run, schemaOf } from './app.js';

const [kind, key] = process.argv.slice(2);
phone.sqlcipher = Boolean(key);
globalThis.XMLHttpRequest = XMLHttpRequest;

const sdk = await import('@powersync/react-native');
const { Gunzip } = await import('fflate');
const fs = await import('../react-native/react-native-fs.js');
const { openSeeded, seededConnector } = await import(`../../../deploy/clients/react-native/${kind === 'bare' ? 'bare' : 'index'}.ts`);

const schema = schemaOf(sdk);
// As with `expo/fetch`, which the SDK looks for by `require`.
const remote = { fetchImplementation: { supportsStreams: true, run: ({ resource, request }) => fetch(resource, request) } };

// @powersync/react-native 2.1.0 clears all or nothing.
const about = { platform: kind, forms: ['file', 'compact'], encodings: ['gzip', 'identity'], softClear: false };
if (key) about.cipher = 'sqlcipher4';
// Without streams, a request that breaks off brings nothing.
if (kind === 'bare') about.loses = 1024 * 1024;

// `location` and `former`: what an app of another kind says about where its database is.
run(about, (directory, { location, former, key: own = "the app's key", ...source }) => {
  phone.databases = directory;
  phone.files = join(directory, 'files');
  mkdirSync(phone.files, { recursive: true });
  const whole = { ...source, gunzip: Gunzip, ...(kind === 'bare' ? { fs } : {}), ...(key ? { encryption: { key: own } } : {}) };
  if (former) return openSeeded(schema, 'app.db', whole);
  return openSeeded({ schema, database: { dbFilename: 'app.db', dbLocation: location }, logger, remote }, whole);
}, seededConnector);
