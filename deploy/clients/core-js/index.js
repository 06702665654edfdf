/** What all of Seedbed's JavaScript packages have in common. An app uses the package of its platform. */

export { Launch } from './launch.js';
export { openAfter } from './open.js';
export { SeedbedError } from './reasons.js';
export { seededConnector } from './stream/connector.js';

/**
 * @typedef {import('./source.js').SnapshotSource} SnapshotSource
 * @typedef {import('./source.js').Progress} Progress
 * @typedef {import('./source.js').Outcome} Outcome
 * @typedef {import('./stream/connector.js').StreamSource} StreamSource
 * @typedef {import('./stream/connector.js').Choice} Choice
 * @typedef {import('./reasons.js').Reason} Reason
 * @typedef {import('./reasons.js').Kept} Kept
 * @typedef {import('./platform.js').Platform} Platform
 * @typedef {import('./platform.js').Files} Files
 * @typedef {import('./platform.js').Sink} Sink
 * @typedef {import('./platform.js').Connection} Connection
 * @typedef {import('./platform.js').Encoding} Encoding
 * @typedef {import('./platform.js').Cipher} Cipher
 * @typedef {import('./platform.js').Sealed} Sealed
 * @typedef {import('./source.js').Encryption} Encryption
 */
