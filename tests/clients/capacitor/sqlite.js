/** `@capacitor-community/sqlite` 8.1 as far as `@powersync/capacitor` uses it, on Node's SQLite. */

import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

const CORE = join(dirname(createRequire(import.meta.url).resolve('@powersync/node')), 'libpowersync_x64.linux.so');

/** Where the device has its databases. */
export const device = { directory: undefined };

export const CapacitorSQLite = {};

export class SQLiteConnection {
  async closeConnection() {}

  async createConnection(name, encrypted, mode, version, readonly) {
    if (encrypted) throw new Error('there is no encryption');
    return new Connection(join(device.directory, `${name}SQLite.db`), readonly);
  }
}

class Connection {
  constructor(path, readonly) {
    this.path = path;
    this.readonly = readonly;
  }

  getConnectionReadOnly() {
    return this.readonly;
  }

  async open() {
    this.db = new DatabaseSync(this.path, { readOnly: this.readonly, allowExtension: true });
    this.db.loadExtension(CORE, 'sqlite3_powersync_init');
  }

  async close() {
    this.db.close();
  }

  async query(sql, values = []) {
    return { values: this.all(sql, values) };
  }

  async run(sql, values = []) {
    return { changes: { changes: 0, values: this.all(sql, values) } };
  }

  async executeSet(set) {
    for (const { statement, values } of set) this.all(statement, values);
    return { changes: { changes: set.length } };
  }

  all(sql, values) {
    // What crosses the bridge is JSON.
    const bound = values.map((value) => (typeof value === 'boolean' ? Number(value) : (value ?? null)));
    return this.db.prepare(sql).all(...bound).map((row) => ({ ...row }));
  }
}
