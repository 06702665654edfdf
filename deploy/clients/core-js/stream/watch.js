/**
 * SDKs keep their credentials until the server refuses them, so one that cannot reach Seedbed's stream would try it for ever.
 * This has it ask again.
 */

/**
 * What is needed of the SDK's database object; without `connect` it is not watched.
 *
 * @typedef {object} Connecting
 * @property {(listener: { statusChanged: (status: any) => void }) => () => void} [registerListener]
 * @property {(connector: any, options?: any) => Promise<void>} [connect]
 * @property {any} [connectionOptions] What the app has connected with.
 */

/** One connection to Seedbed, and the SDK's further tries of it. */
export class Watch {
  /**
   * @param {Connecting} database
   * @param {{ tries: number, silenceLimit: number, connecting?: boolean }} limits `connecting`: whether the SDK is; it is when it
   *   asks for credentials.
   * @param {() => void} giveUp
   */
  constructor(database, { tries, silenceLimit, connecting = true }, giveUp) {
    this.tries = tries;
    this.left = tries;
    this.silenceLimit = silenceLimit;
    this.giveUp = giveUp;
    /** Whether the SDK was connecting when it was last heard of. */
    this.connecting = connecting;
    /** Operations that have arrived, at the most: a connection that brings none is a fruitless one. */
    this.most = 0;
    /** Whether all have, and are being applied: that says nothing for as long as it takes. */
    this.whole = false;
    this.dispose = database.registerListener?.({ statusChanged: (status) => this.heard(status) });
    if (this.dispose) this.wait();
  }

  /** @param {any} status */
  heard({ connecting, downloadProgress: progress }) {
    if (connecting && !this.connecting && --this.left <= 0) return this.fail();
    this.connecting = connecting;
    const { downloadedOperations: downloaded = 0, totalOperations: total = Infinity } = progress ?? {};
    if (downloaded > this.most) [this.most, this.left] = [downloaded, this.tries];
    this.whole = downloaded >= total;
    this.wait();
  }

  wait() {
    clearTimeout(this.timer);
    if (this.whole) return;
    this.timer = setTimeout(() => this.fail(), this.silenceLimit);
    // Node's process need not stay for it.
    /** @type {any} */ (this.timer)?.unref?.();
  }

  fail() {
    this.end();
    this.giveUp();
  }

  end() {
    clearTimeout(this.timer);
    this.dispose?.();
  }
}
