/** Installs a snapshot and nothing more, to be killed meanwhile: `node install.js FILE URL STORE TOKEN`. */

import { installSnapshot } from '../../deploy/clients/node/snapshot.js';

const [file, url, storeId, token] = process.argv.slice(2);
await installSnapshot(file, { url, storeId, getToken: async () => token });
