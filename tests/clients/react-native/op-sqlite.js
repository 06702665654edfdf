/**
 * `@op-engineering/op-sqlite` 17.2 as far as it is used: on Node's SQLite, or, as if it were built with SQLCipher, on
 * SQLite3MultipleCiphers, which writes the same files.
 */

import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import Ciphers from 'better-sqlite3-multiple-ciphers';
import { DatabaseSync } from 'node:sqlite';
import { phone } from './phone.js';

const CORE = join(dirname(createRequire(import.meta.url).resolve('@powersync/node')), 'libpowersync_x64.linux.so');

export const getDylibPath = () => CORE;

export const isSQLCipher = () => phone.sqlcipher;

export function open({ name, location = '', readOnly = false, encryptionKey }) {
  // `OPSqlite.cpp`: an absolute location, or one below where op-sqlite is at home.
  const folder = location.startsWith('/') ? location : join(phone.databases, location);
  const path = location === ':memory:' ? location : join(folder, name);
  // One of them in a process: the core extension knows one SQLite alone.
  const [db, run] = phone.sqlcipher ? withCiphers(path, readOnly, encryptionKey) : plain(path, readOnly);
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

function plain(path, readOnly) {
  const db = new DatabaseSync(path, { readOnly, allowExtension: true });
  const run = (sql, parameters = [], arrays = false) => {
    const statement = db.prepare(sql);
    statement.setReturnArrays(arrays);
    const rows = statement.all(...parameters.map(bound));
    return { rows, columnNames: statement.columns().map(({ name }) => name) };
  };
  return [db, run];
}

/** The key as `sqlite3_key_v2` of SQLCipher 4 takes it. */
function withCiphers(path, readOnly, key) {
  const db = new Ciphers(path, { readonly: readOnly });
  const pragmas = key ? ["cipher = 'sqlcipher'", 'legacy = 4', `key = '${key.replaceAll("'", "''")}'`] : [];
  for (const pragma of pragmas) db.pragma(pragma);
  const run = (sql, parameters = [], arrays = false) => {
    const statement = db.prepare(sql);
    if (!statement.reader) return statement.run(...parameters.map(bound)), { rows: [], columnNames: [] };
    const rows = (arrays ? statement.raw() : statement).all(...parameters.map(bound));
    return { rows, columnNames: statement.columns().map(({ name }) => name) };
  };
  return [db, run];
}

/** A parameter as Node's SQLite takes it. */
function bound(value) {
  if (typeof value === 'boolean') return Number(value);
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  return value ?? null;
}
