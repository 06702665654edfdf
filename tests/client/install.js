/** Opens a database as an app does and closes it, to be killed meanwhile: `node install.js DIRECTORY URL STORE TOKEN`. */

import { openSeeded } from '../../deploy/clients/node/index.js';
import { schema } from './schema.js';

const [dbLocation, url, storeId, token] = process.argv.slice(2);
const database = { dbFilename: 'app.db', dbLocation, implementation: { type: 'node:sqlite' }, readWorkerCount: 1 };
const db = await openSeeded({ schema, database }, { url, storeId, getToken: async () => token });
await db.close();
