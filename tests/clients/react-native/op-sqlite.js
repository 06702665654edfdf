/** `@op-engineering/op-sqlite` 17.2 as far as it is used, on Node's SQLite. */

import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { phone } from './phone.js';

const CORE = join(dirname(createRequire(import.meta.url).resolve('@powersync/node')), 'libpowersync_x64.linux.so');

export const getDylibPath = () => CORE;

export function open({ name, location = '', readOnly = false }) {
  // `OPSqlite.cpp`: an absolute location, or one below where op-sqlite is at home.
  const folder = location.startsWith('/') ? location : join(phone.databases, location);
  const path = location === ':memory:' ? location : join(folder, name);
  const db = new DatabaseSync(path, { readOnly, allowExtension: true });
  const run = (sql, parameters = [], arrays = false) => {
    const statement = db.prepare(sql);
    statement.setReturnArrays(arrays);
    const rows = statement.all(...parameters.map(bound));
    return { rows, columnNames: statement.columns().map(({ name }) => name) };
  };
  return {
    close: () => db.close(),
    execute: async (sql, parameters) => ({ rowsAffected: 0, rows: run(sql, parameters).rows }),
    executeRaw: async (sql, parameters) => {
      const { rows, columnNames } = run(sql, parameters, true);
      return { rowsAffected: 0, rawRows: rows, columnNames };
    },
    executeBatch: async (statements) => {
      db.exec('BEGIN');
      for (const [sql, parameters] of statements) run(sql, parameters);
      db.exec('COMMIT');
      return { rowsAffected: statements.length };
    },
    loadExtension: (path, entryPoint) => db.loadExtension(path === 'libpowersync' ? CORE : path, entryPoint),
    getDbPath: () => path
  };
}

/** A parameter as Node's SQLite takes it. */
function bound(value) {
  if (typeof value === 'boolean') return Number(value);
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  return value ?? null;
}
