/** The app in the browser. */

import * as sdk from '@powersync/web';
import { openSeeded, seededConnector } from '../../../deploy/clients/web/index.js';
import { catchUp, isBehind } from '../../../deploy/clients/web/sqlite.js';
import { app, logger, schemaOf } from './commands.js';

const schema = schemaOf(sdk);
const vfs = new URL(location.href).searchParams.get('vfs');
const worker = new URL('/node_modules/@powersync/web/dist/worker/worker.js', location.href).href;

let db;

const open = async (_, { key, ...source }) => {
  const database = { dbFilename: 'app.db', vfs, worker, encryptionKey: key };
  return (db = await openSeeded({ schema, database, sync: { worker }, logger }, source));
};

const command = app({}, open, seededConnector, (line) => globalThis.say(line));

globalThis.command = async (line) => {
  if (line.do === 'files') return { id: line.id, ok: true, files: await files() };
  const said = await command(line);
  // An app would watch its queries.
  if (['connect', 'execute', 'clear'].includes(line.do) && isBehind({ vfs })) await catchUp(db, {});
  return said;
};

/** What is in the browser's private file system. */
async function files() {
  const names = [];
  for await (const [name] of (await navigator.storage.getDirectory()).entries()) names.push(name);
  return names;
}
