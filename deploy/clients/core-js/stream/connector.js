/** The stream form: the first sync comes from Seedbed, by the SDK's own connection. Rule 14 of CONTRACT.md. */

import { messageOf } from '../reasons.js';
import { SILENCE_LIMIT } from '../source.js';
import { askStart, endpointOf } from './start.js';
import { read } from './device.js';
import { Watch } from './watch.js';

/**
 * What `fetchCredentials` of an SDK returns.
 *
 * @typedef {{ endpoint: string, token: string }} Credentials
 */

/**
 * What is needed of the app's connector.
 *
 * @typedef {object} Connector
 * @property {() => Promise<Credentials | null>} fetchCredentials
 */

/**
 * @typedef {object} StreamSource
 * @property {import('./device.js').Reader & import('./watch.js').Connecting} database The SDK's, which is connected with the connector.
 * @property {string} url Where `seedbed serve` answers: `https://seedbed.example.com/database`, as for the other forms, or without
 *   `/database`.
 * @property {string} storeId
 * @property {() => Promise<string>} [getToken] The user's token for Seedbed. The one for PowerSync by default.
 * @property {number} [tries] Connections to Seedbed that bring nothing, before PowerSync's turn. 3 by default.
 * @property {number} [silenceLimit] Milliseconds in which Seedbed's stream brings nothing, after which it is PowerSync's turn. 30
 *   seconds by default.
 * @property {number} [startLimit] Milliseconds for the question. 5 seconds by default.
 * @property {(choice: Choice) => void} [onChoice] Called whenever the SDK asks.
 * @property {typeof globalThis.fetch} [fetch]
 */

/**
 * @typedef {object} Choice
 * @property {'seedbed' | 'powersync'} endpoint
 * @property {string} reason For logs.
 */

const TRIES = 3;
const START_LIMIT = 5_000;

/** Milliseconds for which a Seedbed that has nothing, or does not answer, is not asked by a device that has synced. */
const REMEMBERED = 60_000;

/**
 * Returns the app's connector with other credentials: Seedbed's while the database has never synced and has no local write, and
 * PowerSync's in every other case. The SDK has to connect by HTTP: `connectionMethod: 'http'`.
 *
 * @template {Connector} C
 * @param {C} connector
 * @param {StreamSource} source
 * @returns {C}
 */
export function seededConnector(connector, source) {
  // Whatever else an SDK looks for in a connector is the app's.
  const seeded = new Proxy(connector, {
    get(target, name) {
      if (name === 'fetchCredentials') return () => chooser.credentials();
      if (name === 'invalidateCredentials') return () => chooser.invalidated();
      const own = Reflect.get(target, name);
      return typeof own === 'function' ? own.bind(target) : own;
    }
  });
  const chooser = new Chooser(connector, source, seeded);
  return seeded;
}

class Chooser {
  /**
   * @param {Connector} connector
   * @param {StreamSource} source
   * @param {Connector} seeded
   */
  constructor(connector, source, seeded) {
    this.connector = connector;
    this.source = source;
    this.seeded = seeded;
    this.endpoint = endpointOf(source.url);
    /** Times that Seedbed was named since the last sync. */
    this.tried = 0;
    /** @type {Watch | undefined} While Seedbed is what the SDK was told last. */
    this.watch = undefined;
    this.quietUntil = 0;
  }

  /** @returns {Promise<Credentials | null>} */
  async credentials() {
    const own = await this.connector.fetchCredentials();
    // Signed out.
    if (!own) return own;
    /** @type {{ reason: string, credentials?: Credentials }} */
    const { reason, credentials } = await this.choose(own).catch((error) => ({ reason: messageOf(error) }));
    this.watch?.end();
    this.watch = credentials && this.watched();
    this.source.onChoice?.({ endpoint: credentials ? 'seedbed' : 'powersync', reason });
    return credentials ? { ...own, ...credentials } : own;
  }

  /** An SDK calls it after a 401, and at the end of Seedbed's stream: either way there is no more for this device. */
  invalidated() {
    if (this.watch) this.refused();
    /** @type {any} */ (this.connector).invalidateCredentials?.();
  }

  refused() {
    this.tried = Infinity;
    this.quietUntil = Date.now() + REMEMBERED;
  }

  watched() {
    const { database, tries = TRIES, silenceLimit = SILENCE_LIMIT } = this.source;
    const options = database.connectionOptions;
    return new Watch(database, { tries, silenceLimit }, () => {
      this.refused();
      // Unless the app has disconnected, or connected otherwise. Positions stay: what has arrived is not downloaded again.
      if (options && database.connectionOptions === options) database.connect?.(this.seeded, options).catch(() => {});
    });
  }

  /**
   * @param {Credentials} own
   * @returns {Promise<{ reason: string, credentials?: Credentials }>} With those for Seedbed, if it is Seedbed's turn.
   */
  async choose(own) {
    const { database, storeId, getToken, tries = TRIES, startLimit = START_LIMIT, fetch = globalThis.fetch } = this.source;
    const device = await read(database);
    // What comes after a clear is another first sync.
    if (device.synced) this.tried = 0;
    if (device.writes) return { reason: 'local_writes' };
    if (device.synced && !device.begun) return { reason: 'synced' };
    if (this.tried >= tries) return { reason: 'tried' };
    if (device.synced && Date.now() < this.quietUntil) return { reason: 'synced' };
    // It goes on where it is, at the service: a stream of Seedbed's begins at the start.
    if (device.begun && device.generation === undefined) return { reason: 'own_positions' };
    const token = getToken ? await getToken() : own.token;
    const { endpoint, reason } = await askStart(fetch, this.endpoint, { storeId, token, generation: device.generation, limit: startLimit });
    if (endpoint === undefined) {
      // A device that goes on at the service does not ask before each of its connections.
      this.quietUntil = Date.now() + REMEMBERED;
      return { reason };
    }
    this.tried++;
    return { reason, credentials: { endpoint, token } };
  }
}
