/** The package for Capacitor as the suite drives it, on Node: a native app. */

import '../capacitor/register.js';
import { logger, run, schemaOf } from './app.js';
import { device } from '../capacitor/sqlite.js';

const sdk = await import('@powersync/web');
const { openSeeded, seededConnector } = await import('../../../deploy/clients/capacitor/index.js');

const schema = schemaOf(sdk);

const about = { platform: 'capacitor', forms: [], encodings: [], softClear: false };

run(about, (directory, source) => {
  device.directory = directory;
  return openSeeded({ schema, database: { dbFilename: 'app.db', enableMultiTabs: false }, logger }, source);
}, seededConnector);
